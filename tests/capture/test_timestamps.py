"""Files of timestamps: read, matched with frames, and what they say of clocks and losses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.camera import F64
from capture.errors import BadTimestamps
from capture.reconstruct import ReconstructSettings, take_of, timestamped
from capture.streams import Stream
from capture.timestamps import read_timestamps, stamps_lines, stamps_to_json
from tests.capture.test_sync import NEAT, RATE_HZ, filmed, truth_at
from tests.scenes import ring_rig

START_NS = 1_785_000_000_000_000_001  # no float holds it


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "stamps.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{START_NS}\n{START_NS + 33_333_333}\n", [START_NS, START_NS + 33_333_333]),
        ("# recorder 2\n0.0\n0.0333333339\n\n", [0, 33_333_334]),
        ("frame,timestamp_us\n0,100\n1,33433\n", [100_000, 33_433_000]),
        ("frame;time_ms;name\n0;0.5;a\n1;33.9;b\n", [500_000, 33_900_000]),
        ('"sync_index","cam_id","frame_time"\n4,3,48033.0121928\n5,3,48033.0453\n',
         [48_033_012_192_800, 48_033_045_300_000]),
        ("\ufefftimestamp\n1\n2\n", [10**9, 2 * 10**9]),
    ],
)  # fmt: skip
def test_lines_and_tables(tmp_path: Path, text: str, expected: list[int]) -> None:
    assert read_timestamps(file(tmp_path, text)) == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a,b\n1,2\n", "columns a, b"),
        ("1,2\n3,4\n", "no header"),
        ("0.0\nx\n", "row 2 holds no time"),
        ("time_s,n\n0.1,3\n,4\n", "row 2"),
        ("0\n33\n66\n", "33 s apart"),  # milliseconds without saying so
        ("time_ns\n0\n33\n66\n", "3.3e-08 s apart"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(BadTimestamps, match=word):
        read_timestamps(file(tmp_path, text))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "stamps.csv"
    path.write_bytes(b"\xff\xfe\x00\x01" * 9)
    with pytest.raises(BadTimestamps, match="no text"):
        read_timestamps(path)


def taken(
    offsets: list[float], lost: dict[str, list[int]], jitter_s: float = 0.0
) -> tuple[dict[str, Stream], dict[str, list[int]]]:
    """Three seconds of three cameras, each frame stamped; lost frames are in neither."""
    streams = filmed(ring_rig(3), 3.0, offsets, noise=NEAT, people=1)
    rng, stamps, kept = np.random.default_rng(1), {}, {}
    for (name, stream), offset in zip(streams.items(), offsets, strict=True):
        there = np.setdiff1d(np.arange(len(stream.people)), lost.get(name, []))
        real = (there + offset) / RATE_HZ + rng.normal(0, jitter_s, len(there))
        stamps[name] = (START_NS + np.round(1e9 * real).astype(np.int64)).tolist()
        # The files of a camera that drops frames are numbered without gaps.
        times = np.arange(len(there)) / RATE_HZ
        kept[name] = Stream(times, [stream.people[k] for k in there])
    return kept, stamps


def worst_mm(streams: dict[str, Stream], stamps: dict[str, list[int]], start: float) -> F64:
    """Of joints of the take by these stamps, against the truth; `start` frames of the truth."""
    _, _, moments = timestamped(streams, stamps, RATE_HZ)
    frames = take_of(ring_rig(3), moments, RATE_HZ, ReconstructSettings(smooth=None), model={})
    times = start / RATE_HZ + np.array([frame.timestamp_ns for frame in frames]) * 1e-9
    truth = truth_at(1, times, 1)[:, 0]
    off = [
        np.linalg.norm(f.people[0].positions - t, axis=1)
        for f, t in zip(frames, truth, strict=True)
    ]
    return 1000 * np.array(off)


def test_offsets_and_dropped_frames_do_no_harm() -> None:
    """By the stamps as good as at one moment; by counting, people are in two places at once."""
    offsets, lost = [0.0, 4.4, -3.5], {"cam1": [20, 21, 50], "cam2": [30]}
    streams, stamps = taken(offsets, lost)
    off = worst_mm(streams, stamps, start=0.0)
    # 0.3 px are 1 mm; reading on the line between frames adds a dt^2 / 8 = 1 mm at 10 m/s^2.
    # Beside a dropped frame the nearest one is read as it is, which the rest of one percent shows.
    assert np.nanmedian(off) < 2.0
    assert np.nanpercentile(off, 95) < 5.0
    wrong = {name: (START_NS + np.arange(90) * 33_333_333).tolist() for name in streams}
    wrong = {name: stamps_[: len(streams[name].people)] for name, stamps_ in wrong.items()}
    assert np.nanmedian(worst_mm(streams, wrong, start=0.0)) > 20.0


def test_what_is_told_of_each_camera() -> None:
    streams, stamps = taken([0.0, 4.4, 0.0], {"cam1": [20, 21, 50]}, jitter_s=0.001)
    found, covered, _ = timestamped(streams, stamps, RATE_HZ)
    told = stamps_to_json(found, covered)["cameras"]
    assert told["cam1"]["dropped"] == 3
    assert told["cam1"]["frames"] == 87
    assert told["cam1"]["starts_s"] == pytest.approx(4.4 / RATE_HZ, abs=1e-3)
    assert told["cam1"]["jitter_ms"] == pytest.approx(1.0, rel=0.3)
    assert told["cam1"]["moments_missing"] >= 3
    assert told["cam0"]["dropped"] == told["cam0"]["without_time"] == 0
    line = stamps_lines(found, covered)[1]
    assert "3 dropped (20, 21, 50)" in line
    assert "missing at" in line


def test_counts_that_do_not_match_are_told() -> None:
    streams, stamps = taken([0.0, 0.0, 0.0], {})
    stamps["cam0"] = stamps["cam0"][:80]  # ten frames without a time
    streams["cam2"] = Stream(streams["cam2"].times_s[4:], streams["cam2"].people[4:])
    found, covered, moments = timestamped(streams, stamps, RATE_HZ)
    assert found.without_time == {"cam0": 10, "cam1": 0, "cam2": 0}
    assert found.without_people == {"cam0": 0, "cam1": 0, "cam2": 4}
    lines = stamps_lines(found, covered)
    assert "10 frames without a time, left out" in lines[0]
    assert "4 times without a frame" in lines[2]
    # Frame numbers say which times are whose: the first four of cam2 are not shifted.
    assert found.streams["cam2"].times_s[0] == pytest.approx(4 / RATE_HZ, abs=1e-6)
    assert len(moments) == 90


def test_fifty_millionths_over_ten_minutes_by_stamps() -> None:
    """18 000 stamps jittering by 2 ms: the rate is known to 4e-9 of the slope's span, 0.1 ppm."""
    rng = np.random.default_rng(2)
    streams = {name: Stream(np.arange(18_000) / 30.0, [[]] * 18_000) for name in ("a", "b")}
    stamps = {}
    for name, ppm in (("a", 0.0), ("b", 50.0)):
        real = np.arange(18_000) / 30.0 * (1 + 1e-6 * ppm) + rng.normal(0, 0.002, 18_000)
        stamps[name] = (START_NS + np.round(1e9 * real).astype(np.int64)).tolist()
    found, covered, moments = timestamped(streams, stamps, 30.0)
    slower = 1e6 * (found.clocks["a"].rate_hz / found.clocks["b"].rate_hz - 1)
    assert slower == pytest.approx(50.0, abs=0.5)
    assert "-50 ppm" in stamps_lines(found, covered)[1]
    # The last frames of the two lie 0.9 frames apart and are not read as one moment.
    apart = found.streams["b"].times_s[-1] - found.streams["a"].times_s[-1]
    assert apart == pytest.approx(600 * 50e-6, abs=1e-4)
    assert len(moments) in (18_000, 18_001)


def test_a_camera_without_a_file_and_one_that_goes_back(tmp_path: Path) -> None:
    streams, stamps = taken([0.0, 0.0, 0.0], {})
    with pytest.raises(BadTimestamps, match="no timestamps for cam2"):
        timestamped(streams, {name: stamps[name] for name in ("cam0", "cam1")}, RATE_HZ)
    stamps["cam1"][5] = stamps["cam1"][3]
    with pytest.raises(BadTimestamps, match=r"'cam1'.*before"):
        timestamped(streams, stamps, RATE_HZ)
