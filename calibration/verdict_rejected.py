"""What a verdict makes of the views that were set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from .misread import Misread
from .rig import Finding, Rejected

Severity = Literal["note", "usable", "bad"]

REJECTED_USABLE = 0.2  # share of all views
# A camera that was moved: nearly all its views before or after some moment were set aside, and
# nearly none on the other side.
MOVED_SHARE = 0.8
MIN_MOVED = 4

# What such views are, what was done with them, and what to do.
_REASONS = {
    "flipped": (
        "are numbered from the other end",
        "were turned back",
        "check the board's print: one odd and one even count of inner corners",
    ),
    "desync": (
        "show the board elsewhere than the other cameras do",
        "serve their own lens only",
        "check that the cameras are synchronized, hold the board still",
    ),
    "corners": (
        "have corners far off",
        "were used without those",
        "keep fingers off the board and the pictures sharp",
    ),
    "duplicate": (
        "are copies of other pictures of the same camera",
        "were set aside",
        "give every picture once",
    ),
    "blur": (
        "are blurred beside the camera's others",
        "were set aside",
        "hold the board still, shorten the exposure",
    ),
    "collinear": (
        "show under six corners, or corners on one line",
        "were set aside",
        "show more of the board",
    ),
    "residual": (
        "fit far worse than the camera's other views",
        "were set aside",
        "leave blurred or bent views out",
    ),
}


def judge_rejected(rejected: Sequence[Rejected], views: int) -> list[tuple[Severity, Finding]]:
    """What the views set aside say, by reason.

    Args:
        rejected: the views set aside.
        views: how many there were before.
    """
    out: list[tuple[Severity, Finding]] = []
    for reason, (what, done, fix) in _REASONS.items():
        rows = [r for r in rejected if r.reason == reason]
        if not rows:
            continue
        # Of two that contradict each other one is a good view: they count as one.
        told = {_where(r): None for r in rows}
        share = len(told) / max(views, 1)
        where = ", ".join(list(told)[:5])
        more = ", …" if len(told) > 5 else ""
        message = f"{len(told)} views {what} and {done}: {where}{more}"
        severity: Severity = "usable" if share > REJECTED_USABLE else "note"
        out.append((severity, Finding(f"rejected_{reason}", message, fix)))
    return out


def _where(rejected: Rejected) -> str:
    if rejected.partner is None:
        return f"{rejected.camera} {rejected.frame}"
    return f"{' or '.join(sorted((rejected.camera, rejected.partner)))} {rejected.frame}"


def judge_moved(
    rejected: Sequence[Rejected], moments: Mapping[str, Sequence[str]]
) -> list[tuple[Severity, Finding]]:
    """Cameras whose views contradict the others on one side of some moment.

    Args:
        rejected: the views set aside.
        moments: the shared moments of each camera.
    """
    late = {(r.camera, r.frame) for r in rejected if r.reason == "desync"}
    moved: dict[str, list[tuple[str, int]]] = {}  # moment -> cameras and how many views
    for camera, own in moments.items():
        gone = np.array([(camera, moment) in late for moment in sorted(own)], dtype=float)
        cuts = range(MIN_MOVED, len(gone) - MIN_MOVED + 1)
        if not cuts:
            continue
        cut = max(cuts, key=lambda at: abs(gone[at:].mean() - gone[:at].mean()))
        if abs(gone[cut:].mean() - gone[:cut].mean()) >= MOVED_SHARE:
            moved.setdefault(sorted(own)[cut], []).append((camera, int(gone.sum())))
    several = [(moment, one) for moment, cameras in moved.items() for one in cameras]
    if len(several) >= 2 and len(moments) > 2:
        return [("bad", _swapped(several[0][0], [camera for _, (camera, _) in several]))]
    return [("bad", _moved(camera, moment, count)) for moment, (camera, count) in several]


def judge_misread(misread: Misread) -> list[tuple[Severity, Finding]]:
    """Cameras whose every view was put right."""
    out: list[tuple[Severity, Finding]] = []
    for name in misread.mirrored:
        finding = Finding(
            "mirrored_camera",
            f"{name}: its pictures are mirrored, every one of them; they were flipped back left to "
            "right, and the rig holds for pictures the right way round only",
            f"switch off 'mirror' or 'flip' in the driver of {name} before anything is captured",
            name,
        )
        out.append(("bad", finding))
    for name in misread.turned:
        doubt = " (or the other camera's are: the rig is the same)" if misread.either else ""
        finding = Finding(
            "turned_camera",
            f"{name}: all its views are numbered from the other end and were turned back{doubt}",
            "nothing to do for the rig; check that its pictures are no negatives and that every "
            "camera saw the same board",
            name,
        )
        out.append(("note", finding))
    return out


def _swapped(moment: str, cameras: Sequence[str]) -> Finding:
    return Finding(
        "cameras_swapped",
        f"{', '.join(cameras)}: on one side of about moment {moment} nearly all their views "
        "contradict the others: there the files of two cameras are swapped, or several cameras "
        "were moved or lost their synchronization",
        "check which file is of which camera, or calibrate from the moments before or after alone",
    )


def _moved(camera: str, moment: str, count: int) -> Finding:
    return Finding(
        "camera_moved",
        f"{camera}: {count} of its views contradict the others, nearly all of them on one side of "
        f"moment {moment}: it was moved while filming, or lost its synchronization there",
        "fix its mount and film again, or calibrate from the moments before or after alone",
        camera,
    )
