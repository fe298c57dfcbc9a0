"""What a learned prior of bodies says of everybody in a frame (`models.prior`).

How plausible each body is, and, for joints that few views made, where the views and the prior
agree best. Joints that enough views made stay where those put them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.prior import PosePrior, packaged_prior
from models.prior_map import most_likely

from .bodies import Body
from .observations import Observations
from .people import F64

__all__ = ["UPRIGHT_WORLDS", "PriorSettings", "judged"]

UPRIGHT_WORLDS = frozenset({"floor", "imported"})  # of a rig's worlds, those whose z is up
# What is left of a weak joint's sigma: on validation clips errors fell to 0.60 to 0.82 of theirs.
_SIGMA_SHARE = 0.85


@dataclass(frozen=True, slots=True)
class PriorSettings:
    """What the prior is asked."""

    plausibility: bool = True
    # Joints made by so many views or fewer (2, say) are moved to where the prior has them too. Off:
    # on held-out motion that takes 16 to 33 % off their error, on the one real take 1 %.
    weak_views: int = 0


def judged(
    seen: Observations,
    bodies: Sequence[Body],
    settings: PriorSettings,
    prior: PosePrior | None = None,
) -> tuple[list[Body], F64]:
    """The bodies, weakly seen joints moved, and how plausible each is.

    Args:
        seen: the frame's sightings.
        bodies: made from them, in a world whose z is up.
        settings: what to ask.
        prior: None takes the packaged one; without any nothing is asked.

    Returns:
        The bodies, and (P,) shares in [0, 1], NaN where nothing can be said.
    """
    prior = prior or packaged_prior()
    unknown = np.full(len(bodies), np.nan)
    if prior is None or not bodies:
        return list(bodies), unknown
    points = np.stack([body.points for body in bodies])  # (P, J, 3)
    views = np.stack([body.views for body in bodies])
    weak = (views > 0) & (views <= settings.weak_views)
    if weak.any():
        information = np.stack([_information(seen, body) for body in bodies])
        moved = most_likely(prior, points, information, weak)
        bodies = [
            replace(body, points=row, sigma_m=np.where(few, _SIGMA_SHARE, 1.0) * body.sigma_m)
            for body, row, few in zip(bodies, moved, weak, strict=True)
        ]
        points = moved
    return list(bodies), prior.plausibility(points) if settings.plausibility else unknown


def _information(seen: Observations, body: Body) -> F64:
    """(J, 3, 3) inverse covariances of the body's joints in the world, 1 / m^2.

    Their shape follows from where the cameras stand, their size is the body's own sigma.
    """
    flat = np.nan_to_num(body.points)
    total = np.zeros((len(flat), 3, 3))
    for sighting in body.group.tolist():
        pose = seen.cameras[int(seen.view[sighting])].cam_from_world
        ray = flat + pose[:3, :3].T @ pose[:3, 3]  # from the camera's centre
        distance = np.maximum(np.linalg.norm(ray, axis=1), 0.1)[:, None, None]
        ray = ray[:, :, None] / distance
        there = (seen.scores[sighting] > 0)[:, None, None]
        total += there * (np.eye(3) - ray @ ray.mT) / distance**2
    regular = total + 1e-6 * np.eye(3)
    mean = np.trace(np.linalg.inv(regular), axis1=1, axis2=2) / 3  # (J,) variance per unit
    scale = np.nan_to_num(mean / body.sigma_m**2)
    return np.asarray(total * scale[:, None, None])
