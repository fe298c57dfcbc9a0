"""Which views are worth calibrating with: no copies, none that is blurred or only a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .errors import TooFewViews
from .rig import Rejected
from .views import Sightings, View

__all__ = ["MIN_CORNERS", "usable"]

# A pose of a plane needs four; with fewer than six nothing is left to tell a wrong corner by.
MIN_CORNERS = 6
# Edges of squares rise over 2.5 to 3 pixels in sharp pictures. A view is blurred beside the others
# of its camera; below this many pixels it serves in any case.
BLUR_TIMES = 2.5
BLUR_PX = 6.0


def usable(sightings: Sightings) -> tuple[Sightings, tuple[Rejected, ...]]:
    """The sightings worth using, and the views left out with the reason.

    Raises:
        TooFewViews: a camera has none left.
    """
    rejected: list[Rejected] = []
    kept: list[View] = []
    seen: set[tuple[str, bytes]] = set()
    blur_limit = {
        name: max(BLUR_TIMES * usual_edge_px(sightings.views, name), BLUR_PX)
        for name in sightings.sizes_px
    }
    for view in sightings.views:
        # Noise never gives the same corners twice, so equal corners are a copied picture; counted
        # as many views they would make the calibration look surer than it is.
        mark = (view.camera, view.corners_px.tobytes() + view.ids.tobytes())
        reason, value = "", 0.0
        if mark in seen:
            reason = "duplicate"
        elif len(view.ids) < MIN_CORNERS or _on_a_line(view):
            reason, value = "collinear", float(len(view.ids))
        elif view.edge_px > blur_limit[view.camera]:
            reason, value = "blur", view.edge_px
        seen.add(mark)
        if reason:
            rejected.append(Rejected(view.camera, view.moment, reason, value))
        else:
            kept.append(view)
    for name in dict.fromkeys(view.camera for view in sightings.views):
        own = [item for item in rejected if item.camera == name]
        if not any(view.camera == name for view in kept):
            reason, count = Counter(item.reason for item in own).most_common(1)[0]
            raise TooFewViews(
                f"camera {name!r}: none of its {len(own)} views of the board can be used, {count} "
                f"of them for the reason {reason!r}; film the board again, whole, sharp and tilted",
                camera=name,
                reason=reason,
            )
    return replace(sightings, views=tuple(kept)), tuple(rejected)


def usual_edge_px(views: Sequence[View], camera: str) -> float:
    """How far the edges of a camera's boards reach, in the median view; 0 where not measured."""
    edges = [v.edge_px for v in views if v.camera == camera and np.isfinite(v.edge_px)]
    return float(np.median(edges)) if edges else 0.0


def _on_a_line(view: View) -> bool:
    """Whether the corners lie on one line of the picture, to a hundredth of their length."""
    spread = np.linalg.svd(view.corners_px - view.corners_px.mean(axis=0), compute_uv=False)
    return bool(spread[1] < 0.01 * spread[0]) or spread[0] == 0.0
