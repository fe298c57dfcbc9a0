"""When each camera's frames were taken, from a file per camera: one clock for all cameras.

A text file with one time per line, or a CSV whose header names the column: `timestamp_ns`, `_us`,
`_ms` or `_s` (`time_...` and `frame_time_...` too), or any of these without a unit. Without a unit
whole numbers beyond 1e12 are nanoseconds and all else is seconds. Files of recorders hold more
columns, which are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import BadTimestamps
from .people import F64
from .resample import Coverage
from .streams import FrameClock, Stream, clock_of

__all__ = ["Stamped", "read_timestamps", "stamped", "stamps_lines", "stamps_to_json"]

_COLUMN = re.compile(r"^(?:frame_)?(?:timestamp|time)(?:_(ns|us|ms|s))?$")
_NS_OF = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
CERTAINLY_NS = 10**12  # as seconds, 30 000 years
STEP_RANGE_S = (5e-4, 10.0)  # between frames: 2 kHz to a frame every ten seconds
MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stamped:
    """Cameras' frames at the times that their files tell."""

    streams: Mapping[str, Stream]  # times in seconds since the first frame of all
    clocks: Mapping[str, FrameClock]
    # Frames of which only one of the two is there: the time, or what was seen.
    without_time: Mapping[str, int]
    without_people: Mapping[str, int]


def read_timestamps(path: Path) -> list[int]:
    """Nanoseconds of each frame, in the order of the file.

    Raises:
        BadTimestamps: not such a file, or its unit cannot be right.
    """
    if path.stat().st_size > MAX_BYTES:
        raise BadTimestamps(f"{path}: {path.stat().st_size} bytes, the limit is {MAX_BYTES}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadTimestamps(f"{path} is no text file: {error}") from error
    rows = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    column, unit = 0, None
    if rows and not _is_number(_cells(rows[0])[0]):
        column, unit = _column_of(path, _cells(rows[0]))
        rows = rows[1:]
    elif rows and len(_cells(rows[0])) > 1:
        raise BadTimestamps(
            f"{path} has {len(_cells(rows[0]))} columns and no header; name the one with the times "
            "timestamp_ns, timestamp_us, timestamp_ms or timestamp_s in a first line"
        )
    words = []
    for number, row in enumerate(rows, start=1):
        cells = _cells(row)
        if column >= len(cells) or not _is_number(cells[column]):
            raise BadTimestamps(f"{path}: row {number} holds no time: {row[:60]!r}")
        words.append(cells[column])
    stamps = _nanoseconds(words, unit)
    _check_step(path, stamps, unit)
    return [int(stamp) for stamp in stamps]


def stamped(
    streams: Mapping[str, Stream],
    numbers: Mapping[str, NDArray[np.int64]],
    stamps_ns: Mapping[str, Sequence[int]],
) -> Stamped:
    """The streams at their stamped times, without the jitter of stamping.

    Args:
        streams: by camera, with times of any kind.
        numbers: (F,) number of each frame of a stream. The first stamp is that of number 0, or of
            the first frame where there are as many stamps as frames.
        stamps_ns: by camera, of one clock.

    Raises:
        BadTimestamps: a camera has none, too few, or times that do not rise.
    """
    missing = [name for name in streams if name not in stamps_ns]
    if missing:
        raise BadTimestamps(
            f"no timestamps for {', '.join(missing)}; give a file for every camera, or for none"
        )
    clocks: dict[str, FrameClock] = {}
    for name in streams:
        try:
            clocks[name] = clock_of(stamps_ns[name])
        except BadTimestamps as error:
            raise BadTimestamps(f"camera {name!r}: {error}", field=name) from error
    start = min(float(clock.times_s[0]) for clock in clocks.values())
    put, without_time, without_people = {}, {}, {}
    for name, stream in streams.items():
        times, places = clocks[name].times_s - start, numbers[name]
        if len(times) == len(places):
            places = np.arange(len(places))
        known = places < len(times)
        if not known.any():
            raise BadTimestamps(
                f"camera {name!r}: {len(times)} timestamps, but its frames are numbered from "
                f"{places[0]}; are they of the same recording?",
                field=name,
            )
        people = [stream.people[place] for place in np.flatnonzero(known).tolist()]
        put[name] = Stream(_rising(times[places[known]]), people)
        without_time[name] = int((~known).sum())
        without_people[name] = len(times) - int(known.sum())
    return Stamped(put, clocks, without_time, without_people)


def stamps_to_json(found: Stamped, covered: Sequence[Coverage]) -> dict[str, Any]:
    """What the timestamps say, as JSON-able values."""
    missing = {one.camera: one for one in covered}
    return {
        "format": "quadglass-sync/1",
        "method": "timestamps",
        "cameras": {
            name: {
                "starts_s": round(float(stream.times_s[0]), 6),
                "rate_hz": round(found.clocks[name].rate_hz, 6),
                "jitter_ms": round(1e3 * found.clocks[name].jitter_s, 4),
                "frames": missing[name].frames,
                "dropped": len(found.clocks[name].dropped),
                "without_time": found.without_time[name],
                "without_people": found.without_people[name],
                "moments_missing": missing[name].missing,
            }
            for name, stream in found.streams.items()
        },
    }


def stamps_lines(found: Stamped, covered: Sequence[Coverage]) -> list[str]:
    """One line a camera."""
    first = next(iter(found.clocks.values()))
    lines = []
    for name, cover in zip(found.streams, covered, strict=True):
        clock, stream = found.clocks[name], found.streams[name]
        line = (
            f"{name}: {cover.frames} frames from {stream.times_s[0]:.3f} s at {clock.rate_hz:.4f} "
            f"Hz, {1e6 * (clock.rate_hz / first.rate_hz - 1):+.0f} ppm, stamped to "
            f"{1e3 * clock.jitter_s:.1f} ms"
        )
        if clock.dropped:
            told = ", ".join(map(str, clock.dropped[:5])) + (", ..." if clock.dropped[5:] else "")
            line += f"; {len(clock.dropped)} dropped ({told})"
        if found.without_time[name]:
            line += f"; {found.without_time[name]} frames without a time, left out"
        if found.without_people[name]:
            line += f"; {found.without_people[name]} times without a frame"
        if cover.missing:
            line += f"; missing at {cover.missing} moments"
        lines.append(line)
    return lines


def _cells(row: str) -> list[str]:
    return [cell.strip().strip('"') for cell in re.split(r"[,;\t]", row)]


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def _column_of(path: Path, header: Sequence[str]) -> tuple[int, str | None]:
    """Which column holds the times, and their unit if it says so."""
    for number, name in enumerate(header):
        match = _COLUMN.match(name.lower())
        if match:
            return number, match.group(1)
    raise BadTimestamps(
        f"{path} has the columns {', '.join(header)[:200]}; name the one with the times "
        "timestamp_ns, timestamp_us, timestamp_ms or timestamp_s"
    )


def _nanoseconds(words: Sequence[str], unit: str | None) -> NDArray[np.int64]:
    """Whole numbers stay exact: 1785000000000000001 is no float."""
    if all(re.fullmatch(r"[+-]?\d+", word) for word in words):
        whole = np.array([int(word) for word in words], dtype=np.int64)
        if unit is None:
            unit = "ns" if len(whole) and abs(int(whole[0])) > CERTAINLY_NS else "s"
        return np.asarray(whole * _NS_OF[unit])
    scale = _NS_OF[unit or "s"]
    return np.array([round(float(word) * scale) for word in words], dtype=np.int64)


def _check_step(path: Path, stamps: NDArray[np.int64], unit: str | None) -> None:
    if len(stamps) < 2:
        return
    step_s = float(np.median(np.diff(stamps))) * 1e-9
    if STEP_RANGE_S[0] <= abs(step_s) <= STEP_RANGE_S[1]:
        return
    read_as = f"as {unit}" if unit else "without a unit"
    raise BadTimestamps(
        f"{path}: frames lie {step_s:g} s apart when read {read_as}; name the column timestamp_ns, "
        "timestamp_us, timestamp_ms or timestamp_s, whichever it is"
    )


def _rising(times_s: F64) -> F64:
    assert (np.diff(times_s) > 0).all(), "frames are in order of their numbers"
    return times_s
