"""Motion that no model learnt from: held-out clips on held-out bodies, else made walkers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calibration.camera import F64
from models.training.poses import FIRST_HELD_OUT_BODY, read_split, tracks_of
from tests.scenes import walkers

__all__ = ["MOTIONS", "Motion", "held_out_motion"]

MOTIONS = Path(__file__).parents[1] / "../shared/train/motions"
_WALKERS, _SECONDS = 8, 12.0


@dataclass(frozen=True, slots=True)
class Motion:
    """Tracks at 30 Hz."""

    name: str  # what was used, for the report
    tracks: tuple[F64, ...]  # (F, 17, 3) each, metres, z up


def held_out_motion(bodies: int) -> Motion:
    """Held-out clips, each with this many held-out bodies; walkers where `MOTIONS` is missing."""
    if MOTIONS.is_dir():
        clips = read_split(MOTIONS, "held_out")
        numbers = range(FIRST_HELD_OUT_BODY, FIRST_HELD_OUT_BODY + bodies)
        tracks = tuple(track.joints for track in tracks_of(clips, numbers))
        return Motion(f"{len(clips)} held-out clips, {bodies} held-out bodies", tracks)
    made = walkers(_WALKERS, _SECONDS, seed=7)
    tracks = tuple(made[:, k] for k in range(made.shape[1]))
    return Motion(f"{_WALKERS} made walkers ({MOTIONS.name} is missing)", tracks)
