"""Each camera's lens from its own views, bad views set aside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .board import Board
from .camera import F64
from .errors import BoardNotFound, TooFewViews, Unsolvable
from .lens_choice import LensChoice, free_numbers
from .lens_solver import solve_lens
from .projection import COEFFICIENTS, N_INTRINSICS, SHORT_COEFFICIENTS, pack, unpack
from .rig import Rejected
from .views import Sightings, View, coverage_counts

logger = logging.getLogger(__name__)

MIN_VIEWS = 3
# A first lens needs no more views than this; the joint refinement uses them all.
MAX_VIEWS = 40
# A view this many times worse than the median view, and worse than this at all, is set aside.
PRUNE_TIMES = 3.0
PRUNE_PX = 0.5
# Tangential terms and k3 show near the picture's borders. Where too few of its cells hold a corner
# they take up errors of the poses instead: with five views over a quarter of the picture they put
# a baseline 0.9 % off, without them 0.3 %. Then the lens keeps k1 and k2 only.
MIN_COVERAGE = 0.4
MIN_VIEWS_LONG = 5


@dataclass(frozen=True, slots=True)
class Lens:
    """One camera's lens, and where each of its views put the board."""

    camera: str
    size_px: tuple[int, int]
    K: F64  # (3, 3)
    dist: F64  # as many coefficients as its model has
    rms_px: float
    views: tuple[View, ...]  # those kept
    view_rms_px: tuple[float, ...]  # of the views kept
    rejected: tuple[Rejected, ...]
    # (12,) which of its numbers are to be solved for: not what is given, nor, where the views are
    # few, more than k1 and k2
    free: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(N_INTRINSICS, dtype=bool))


def calibrate_lenses(
    sightings: Sightings,
    cameras: Sequence[str],
    board: Board,
    *,
    choices: Mapping[str, LensChoice] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Lens]:
    """A lens per camera.

    Args:
        sightings: all views.
        cameras: names, in order.
        board: the board.
        choices: what is wished of each camera's lens; five coefficients if nothing.
        progress: called after each camera; may raise.

    Raises:
        BoardNotFound: a camera never saw the board.
        TooFewViews: a camera saw it too seldom.
    """
    unseen = [n for n in cameras if not any(view.camera == n for view in sightings.views)]
    if unseen:
        seen = [name for name in cameras if name not in unseen]
        looked = ", ".join(
            f"{name} ({sightings.looked_at.get(name, 0)} pictures, "
            f"{sightings.dark.get(name, 0)} of them black)"
            for name in unseen
        )
        pitch_black = 0 < sightings.dark.get(unseen[0], 0) == sightings.looked_at.get(unseen[0])
        raise BoardNotFound(
            f"the board is seen by {', '.join(seen) or 'no camera'} but never by {looked}; show it "
            "to every camera, large enough and wholly in the picture, and film again",
            camera=unseen[0],
            reason="black_frames" if pitch_black else None,
        )
    lenses = {}
    for done, name in enumerate(cameras, start=1):
        views = [view for view in sightings.views if view.camera == name]
        size = sightings.sizes_px[name]
        choice = (choices or {}).get(name, LensChoice())
        if choice.whole:
            assert choice.known is not None, "a lens that is wholly fixed is known"
            given = unpack(pack(*choice.known), choice.model)
            lenses[name] = Lens(name, size, *given, float("nan"), tuple(views), (), ())
        else:
            lenses[name] = calibrate_lens(name, views, size, board, choice)
        progress(done, len(cameras))
    return lenses


def calibrate_lens(
    camera: str,
    views: Sequence[View],
    size_px: tuple[int, int],
    board: Board,
    choice: LensChoice = LensChoice(),  # noqa: B008  (frozen)
) -> Lens:
    """One camera's lens from its views; a view that fits far worse than the others is left out.

    Raises:
        TooFewViews: fewer than three usable views.
        Unsolvable: no lens fits them.
    """
    short = _is_short(views, size_px)
    coefficients = SHORT_COEFFICIENTS if short else COEFFICIENTS[choice.model]
    free = free_numbers(choice, coefficients)
    kept = _most_telling(list(views), MAX_VIEWS)
    rejected: list[Rejected] = []
    while True:
        if len(kept) < MIN_VIEWS:
            raise TooFewViews(
                f"camera {camera!r}: {len(kept)} usable board views, need {MIN_VIEWS}; add more "
                "with the board tilted different ways, near and far, and near the corners",
                camera=camera,
                reason="single_view" if len(views) == 1 else None,
            )
        solved = solve_lens(kept, size_px, board, choice, free)
        if solved is None:
            raise Unsolvable(
                f"camera {camera!r}: no lens fits its {len(kept)} views; check the board's counts, "
                "and add sharp views with the board tilted different ways",
                camera=camera,
            )
        kept, errors = list(solved.views), solved.view_rms_px
        limit = max(PRUNE_TIMES * float(np.median(errors)), PRUNE_PX)
        if errors.max() <= limit:
            break
        for view, error in zip(kept, errors, strict=True):
            if error > limit:
                rejected.append(Rejected(camera, view.moment, "residual", float(error)))
                logger.info("%s: view %s left out, %.2f px", camera, view.moment, error)
        kept = [view for view, error in zip(kept, errors, strict=True) if error <= limit]
    view_rms = tuple(float(error) for error in errors)
    return Lens(
        camera, size_px, solved.K, solved.dist, solved.rms_px, tuple(kept), view_rms,
        tuple(rejected), free,
    )  # fmt: skip


def _is_short(views: Sequence[View], size_px: tuple[int, int]) -> bool:
    if len(views) < MIN_VIEWS_LONG:
        return True
    counts = coverage_counts(np.concatenate([view.corners_px for view in views]), size_px)
    return float(np.mean(counts > 0)) < MIN_COVERAGE


def _most_telling(views: list[View], count: int) -> list[View]:
    """Views that fill the picture first: each next one is farthest from those taken."""
    if len(views) <= count:
        return views
    features = np.stack([_feature(view) for view in views])
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9)
    taken = [int(np.argmax([np.ptp(view.corners_px, axis=0).prod() for view in views]))]
    distance = np.linalg.norm(features - features[taken[0]], axis=1)
    while len(taken) < count:
        taken.append(int(np.argmax(distance)))
        away = np.linalg.norm(features - features[taken[-1]], axis=1)
        distance = np.minimum(distance, away)
    return [views[index] for index in sorted(taken)]


def _feature(view: View) -> F64:
    """Place, size and shape of the board in the picture."""
    middle = view.corners_px.mean(axis=0)
    spread = np.cov(view.corners_px.T)
    return np.array([*middle, np.sqrt(spread[0, 0]), np.sqrt(spread[1, 1]), np.cbrt(spread[0, 1])])
