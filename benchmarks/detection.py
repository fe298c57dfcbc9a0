"""Finding a chessboard beside OpenCV's ways: `python -m benchmarks.detection`.

Rendered 1920 x 1080 pictures (three times supersampled, blur 0.8 px, noise 2 grey levels, clutter)
with squares of 46 and 13 px, and clutter without a board. Error is the RMS distance to the truth.
Then ChArUco boards, printed black on white and white on black, from the front and from the back,
where the print is mirrored: right means numbered as from the front, and said to be the back. Last
the full frames of `tut-checkerboard-4cam` (1920 x 1200, 28x17 corners of about 20 px), where they
are on this machine. Times are processor milliseconds on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board, detect, parse_board
from calibration.camera import F64, Camera, project
from tests.calibration.boards import facing, look_at, render
from tests.calibration.shared_data import SHARED

COUNTS = (9, 6)
Finder = Callable[[NDArray[np.uint8]], F64 | None]


def ours(gray: NDArray[np.uint8]) -> F64 | None:
    """The corners as `calibration.board.detect` finds them."""
    found = detect(gray, parse_board("9x6", 50))
    return None if found is None or len(found.ids) < 54 else found.corners_px


def classic(gray: NDArray[np.uint8]) -> F64 | None:
    """findChessboardCorners, then cornerSubPix with the usual window of 11."""
    found, corners = cv2.findChessboardCorners(gray, COUNTS)
    if not found:
        return None
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
    fine = cv2.cornerSubPix(gray, corners, (11, 11), (-1, -1), criteria)
    return np.asarray(fine, dtype=np.float64).reshape(-1, 2)


def sector_based(gray: NDArray[np.uint8]) -> F64 | None:
    """The sector-based finder alone."""
    found, corners = cv2.findChessboardCornersSB(gray, COUNTS)
    return np.asarray(corners, dtype=np.float64).reshape(-1, 2) if found else None


FINDERS: dict[str, Finder] = {
    "quadglass": ours,
    "OpenCV findChessboardCorners + cornerSubPix 11": classic,
    "OpenCV findChessboardCornersSB": sector_based,
}


def pictures(
    square_mm: float, count: int, board: Board | None = None, mirrored: bool = False
) -> list[tuple[NDArray[np.uint8], F64]]:
    """Pictures of a board 3 m away, and where its corners are."""
    board = board or parse_board("9x6", square_mm)
    K = np.array([[1400.0, 0, 960], [0, 1400, 540], [0, 0, 1]])
    pose = look_at(np.array([-3.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0]))
    camera = Camera("a", (1920, 1080), K, np.zeros(5), pose)
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        spot = np.array([0.0, rng.uniform(-0.3, 0.3), 1 + rng.uniform(-0.2, 0.2)])
        world_from_board = facing(rng, board, spot, camera.center_world, 0.35)
        columns, rows = board.inner_corners
        order = np.arange(columns * rows).reshape(rows, columns)
        seen = board.points_board[(order[:, ::-1] if mirrored else order).ravel()]
        points = seen @ world_from_board[:3, :3].T + world_from_board[:3, 3]
        picture = render(camera, board, world_from_board, seed=seed, mirrored=mirrored)
        made.append((picture, project(camera, points)))
    return made


def charuco(count: int) -> list[dict[str, Any]]:
    """One row per print and side: ours beside OpenCV's detector alone."""
    rows = []
    for inverted in (False, True):
        board = parse_board("charuco:8x6:DICT_4X4_50" + (":inverted" if inverted else ""), 90)
        for mirrored in (False, True):
            name = f"ChArUco {'white on black' if inverted else 'black on white'}, "
            name += "back" if mirrored else "front"
            row: dict[str, Any] = {"print": name, "of": count}
            scene = pictures(90.0, count, board, mirrored)
            for solver, finder in (("quadglass", charuco_ours), ("OpenCV", charuco_opencv)):
                times, errors, right = [], [], 0
                for picture, truth in scene:
                    start = time.process_time()
                    found = finder(picture, board)
                    times.append(1000 * (time.process_time() - start))
                    if found is None:
                        continue
                    off = ((found[0] - truth[found[1]]) ** 2).sum(axis=1)
                    if np.sqrt(off.mean()) < 1.0:
                        right += found[2] == mirrored
                        errors.append(off)
                rms = float(np.sqrt(np.mean(np.concatenate(errors)))) if errors else None
                row[solver] = {"right": right, "ms": float(np.median(times)), "rms_px": rms}
            rows.append(row)
            print(_charuco_line(row), flush=True)
    return rows


def charuco_ours(
    gray: NDArray[np.uint8], board: Board
) -> tuple[F64, NDArray[np.int64], bool] | None:
    """Corners, their ids, and whether the back was seen, as `calibration.board.detect` says."""
    found = detect(gray, board)
    return None if found is None else (found.corners_px, found.ids, found.mirrored)


def charuco_opencv(
    gray: NDArray[np.uint8], board: Board
) -> tuple[F64, NDArray[np.int64], bool] | None:
    """The same by cv2.aruco.CharucoDetector with its defaults, which knows no back."""
    columns, rows = board.inner_corners
    markers = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
    target = cv2.aruco.CharucoBoard((columns + 1, rows + 1), 1.0, board.marker_ratio, markers)
    corners, ids, _, _ = cv2.aruco.CharucoDetector(target).detectBoard(gray)
    if ids is None or len(ids) < 6:
        return None
    points = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
    return points, np.asarray(ids, dtype=np.int64).reshape(-1), False


def _charuco_line(row: dict[str, Any]) -> str:
    parts = [f"{row['print']:<32}"]
    for solver in ("quadglass", "OpenCV"):
        part = row[solver]
        rms = "    -" if part["rms_px"] is None else f"{part['rms_px']:.3f}"
        parts.append(f"{solver} {part['right']:2}/{row['of']} right {part['ms']:4.0f} ms {rms} px")
    return "   ".join(parts)


def tut_frames() -> dict[str, Any] | None:
    """How many of the 20 full frames show their board, by each finder; None without them."""
    folder = SHARED / "tut-checkerboard-4cam" / "images"
    if not folder.is_dir():
        return None
    board = parse_board("28x17", 20)
    counts = board.inner_corners
    finders: dict[str, Callable[[NDArray[np.uint8]], object]] = {
        "quadglass": lambda gray: detect(gray, board),
        "findChessboardCorners": lambda gray: cv2.findChessboardCorners(gray, counts)[0] or None,
        "findChessboardCornersSB": lambda gray: (
            cv2.findChessboardCornersSB(gray, counts)[0] or None
        ),
    }
    row: dict[str, Any] = {"of": 0}
    files = sorted(folder.iterdir())
    for name, finder in finders.items():
        times, found = [], 0
        for file in files:
            gray = np.asarray(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), np.uint8)
            start = time.process_time()
            found += finder(gray) is not None
            times.append(1000 * (time.process_time() - start))
        row |= {"of": len(files), name: {"found": found, "ms": float(np.median(times))}}
        print(f"tut {name:<28} {found:2}/{len(files)} {row[name]['ms']:6.0f} ms", flush=True)
    return row


def clutter(count: int) -> list[NDArray[np.uint8]]:
    """Pictures without a board: coarse and fine blobs."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 255, (27, 48)).astype(np.uint8)
        fine = rng.integers(0, 255, (135, 240)).astype(np.uint8)
        size = (1920, 1080)
        mixed = cv2.addWeighted(cv2.resize(coarse, size), 0.6, cv2.resize(fine, size), 0.4, 0)
        made.append(np.asarray(mixed, np.uint8))
    return made


def run(count: int) -> list[dict[str, Any]]:
    """One row per finder."""
    large, small, none = pictures(98.0, count), pictures(28.0, count), clutter(count)
    rows = []
    for name, finder in FINDERS.items():
        row: dict[str, Any] = {"finder": name}
        for label, scene in (("46 px", large), ("13 px", small)):
            times, errors = [], []
            for picture, truth in scene:
                start = time.process_time()
                corners = finder(picture)
                times.append(1000 * (time.process_time() - start))
                if corners is not None:
                    orders = (corners, corners[::-1])
                    off = min((((o - truth) ** 2).sum(axis=1) for o in orders), key=np.mean)
                    errors.append(off)
            row[label] = {
                "found": len(errors),
                "of": count,
                "ms": float(np.median(times)),
                "rms_px": float(np.sqrt(np.mean(np.concatenate(errors)))) if errors else None,
            }
        times = []
        for picture in none:
            start = time.process_time()
            finder(picture)
            times.append(1000 * (time.process_time() - start))
        row["no board"] = {"ms": float(np.median(times))}
        rows.append(row)
        print(_line(row), flush=True)
    return rows


def _line(row: dict[str, Any]) -> str:
    parts = [f"{row['finder']:<48}"]
    for label in ("46 px", "13 px"):
        part = row[label]
        rms = "     -" if part["rms_px"] is None else f"{part['rms_px']:6.3f}"
        parts.append(f"{part['found']:2}/{part['of']} {part['ms']:6.0f} ms {rms} px")
    parts.append(f"{row['no board']['ms']:6.0f} ms")
    return "   ".join(parts)


def main() -> None:
    """Prints the table, and writes it as JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three pictures instead of eight")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}; OpenCV {cv2.__version__}, numpy {np.__version__}")
    print(f"{'finder':<48}   46 px squares              13 px squares              no board")
    count = 3 if options.quick else 8
    rows = run(count)
    prints = charuco(count)
    tut = tut_frames()
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine, "rows": rows, "charuco": prints, "tut": tut}, indent=2)
        )


if __name__ == "__main__":
    main()
