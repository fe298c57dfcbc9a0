"""Where in a picture a chessboard may be: clusters of saddle points."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from .camera import F64

# Grey levels squared per pixel to the fourth: the saddle of a faint printed corner after smoothing.
MIN_SADDLE = 20.0
# A few more peaks than corners, so that clutter does not crowd the board out.
PEAKS_PER_CORNER = 1.3
# A region is worth trying when it holds this share of the board's corners.
MIN_SHARE = 0.35
# Neighbours on the grid stand one spacing apart; the diagonal (1.41) and some perspective included.
LINK_SPACINGS = 1.9
# Saddles of a board point all one way, or a quarter turned: the mean of exp(4i angle) is long. It
# was 0.7 to 1 on real boards, 0.6 at most on clutter.
MIN_ALIGNED = 0.65


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the picture that may hold the board."""

    box_xyxy: tuple[int, int, int, int]  # full-resolution pixels, end exclusive
    spacing_px: float  # between neighbouring saddle points, full-resolution pixels


def regions(gray: NDArray[np.uint8], corners: int, side_px: int) -> list[Region]:
    """The likeliest regions, best first, at most two.

    Args:
        gray: (H, W) picture.
        corners: how many inner corners the board has.
        side_px: longer side of the reduced picture that is searched.
    """
    scale = min(1.0, side_px / max(gray.shape))
    small = gray
    if scale < 1.0:
        small = np.asarray(
            cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    points, spacing, turned = _peaks(small, int(PEAKS_PER_CORNER * corners))
    if len(points) < max(4, MIN_SHARE * corners):
        return []
    labels = _clusters(points, spacing)
    found = []
    for label in np.argsort(-np.bincount(labels))[:2]:
        members = labels == label
        aligned = float(np.abs(np.exp(4j * turned[members]).mean()))
        if members.sum() < MIN_SHARE * corners or aligned < MIN_ALIGNED:
            continue
        step = float(np.median(spacing[members]))
        # The inner corners end one square inside the board; classic finders want its white border.
        low = np.maximum(0, (points[members].min(axis=0) - 2.0 * step) / scale).astype(int)
        high = np.ceil((points[members].max(axis=0) + 2.0 * step) / scale).astype(int) + 1
        box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        found.append(Region(box, step / scale))
    return found


def _peaks(small: NDArray[np.uint8], count: int) -> tuple[F64, F64, F64]:
    """The strongest saddle points (N, 2), their distances to the second neighbour, their angles."""
    smooth = cv2.GaussianBlur(small, (0, 0), 1.2).astype(np.float32)
    xx = cv2.Sobel(smooth, cv2.CV_32F, 2, 0, ksize=3)
    yy = cv2.Sobel(smooth, cv2.CV_32F, 0, 2, ksize=3)
    xy = cv2.Sobel(smooth, cv2.CV_32F, 1, 1, ksize=3)
    saddle = np.asarray(xy * xy - xx * yy)  # minus the Hessian's determinant: > 0 on a saddle
    highest = np.asarray(cv2.dilate(saddle, np.ones((5, 5), np.uint8)))
    peak = (saddle == highest) & (saddle > MIN_SADDLE)
    edge = 6
    peak[:edge] = peak[-edge:] = False
    peak[:, :edge] = peak[:, -edge:] = False
    rows, columns = np.nonzero(peak)
    strongest = np.argsort(-saddle[rows, columns], kind="stable")[:count]
    rows, columns = rows[strongest], columns[strongest]
    points = np.stack([columns, rows], axis=1).astype(np.float64)
    difference = np.asarray(xx - yy)[rows, columns]
    angle = np.arctan2(2.0 * np.asarray(xy)[rows, columns], difference).astype(np.float64) / 2.0
    if len(points) < 4:
        return points, np.zeros(len(points)), angle
    distances, _ = cKDTree(points).query(points, k=4)
    return points, np.asarray(distances, dtype=np.float64)[:, 2], angle


def _clusters(points: F64, spacing: F64) -> NDArray[np.int32]:
    reach = LINK_SPACINGS * float(np.percentile(spacing, 95))
    pairs = cKDTree(points).query_pairs(reach, output_type="ndarray")
    first, second = pairs[:, 0], pairs[:, 1]
    distance = np.linalg.norm(points[first] - points[second], axis=1)
    linked = distance < LINK_SPACINGS * np.minimum(spacing[first], spacing[second])
    first, second = first[linked], second[linked]
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(points), len(points)))
    _, labels = connected_components(graph, directed=False)
    return np.asarray(labels, dtype=np.int32)
