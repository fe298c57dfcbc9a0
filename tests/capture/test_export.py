"""Takes in other programs' formats, read back by small readers of the test's own."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.camera import F64
from capture.errors import ExportError
from capture.export import FORMATS, export_take, write_trc
from capture.people import Frame
from capture.result import frame_from_json
from capture.timeline import rate_of
from models.skeleton import COCO17
from tests.capture.test_smooth import bodies, take, wave
from tests.scenes import ring_rig, walkers


def read_trc(text: str) -> tuple[dict[str, str], list[str], F64, F64]:
    """Header, marker names, times (F,), markers (F, M, 3) with NaN for empty cells."""
    lines = text.splitlines()
    assert lines[0].split("\t")[:3] == ["PathFileType", "4", "(X/Y/Z)"]
    header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    cells = lines[3].split("\t")
    assert cells[:2] == ["Frame#", "Time"]
    names = cells[2::3]
    assert all(cell == "" for k, cell in enumerate(cells[2:]) if k % 3)
    axes = [f"{axis}{m + 1}" for m in range(len(names)) for axis in "XYZ"]
    assert lines[4].split("\t") == ["", "", *axes]
    rows = [line.split("\t") for line in lines[5:]]
    assert all(len(row) == 2 + 3 * len(names) for row in rows)
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
    times = np.array([float(row[1]) for row in rows])
    values = np.array([[float(c) if c else np.nan for c in row[2:]] for row in rows])
    return header, names, times, values.reshape(len(rows), -1, 3)


def walking(people: int = 1) -> list[Frame]:
    return take(walkers(people, 0.5, 60, seed=3), 60.0, ids=tuple(range(3, 3 + people)))


def trc(frames: list[Frame]) -> str:
    return export_take(frames, ring_rig(4), "trc").decode()


def test_trc_of_one_person() -> None:
    frames = walking()
    header, names, times, values = read_trc(trc(frames))
    assert names == list(COCO17.joints)
    assert header["DataRate"] == "60"
    assert header["NumFrames"] == "30"
    assert header["NumMarkers"] == "17"
    assert header["Units"] == "m"
    assert times == pytest.approx(np.arange(30) / 60, abs=1e-6)
    world = np.array([frame.people[0].positions for frame in frames])
    # y is up: TRC (X, Y, Z) = world (y, z, x).
    assert values[..., 0] == pytest.approx(world[..., 1], abs=1e-6)
    assert values[..., 1] == pytest.approx(world[..., 2], abs=1e-6)
    assert values[..., 2] == pytest.approx(world[..., 0], abs=1e-6)
    nose, ankle = names.index("nose"), names.index("left_ankle")
    assert (values[:, nose, 1] - values[:, ankle, 1] > 1.2).all()


def test_trc_of_two_people_prefixes_the_markers() -> None:
    frames = walking(2)
    _, names, _, values = read_trc(trc(frames))
    assert names == [f"p{p}_{joint}" for p in (3, 4) for joint in COCO17.joints]
    second = values[:, names.index("p4_nose")]
    world = np.array([frame.people[1].positions[0] for frame in frames])
    assert second[:, [2, 0, 1]] == pytest.approx(world, abs=1e-6)


def test_missing_is_an_empty_cell_never_zero() -> None:
    frames = walking()
    frames[4].people[0].positions[9] = np.nan
    del frames[10:12]  # two frames dropped
    text = trc(frames)
    assert "nan" not in text.lower()
    _, names, times, values = read_trc(text)
    assert len(values) == 30
    assert times[12] == pytest.approx(12 / 60, abs=1e-6)
    assert np.isnan(values[4, names.index("left_wrist")]).all()
    assert np.isfinite(np.delete(values[4], names.index("left_wrist"), axis=0)).all()
    assert np.isnan(values[10:12]).all()
    assert np.isfinite(values[12]).all()


def test_somebody_who_comes_later() -> None:
    frames = walking(2)
    frames[:10] = [replace(frame, people=frame.people[:1]) for frame in frames[:10]]
    _, names, _, values = read_trc(trc(frames))
    assert np.isnan(values[:10, names.index("p4_nose")]).all()
    assert np.isfinite(values[10:, names.index("p4_nose")]).all()


def test_trc_to_a_path_and_to_a_stream(tmp_path: Path) -> None:
    frames = walking()
    write_trc(frames, tmp_path / "walk.trc", 60.0)
    text = (tmp_path / "walk.trc").read_text()
    assert text.splitlines()[0].endswith("walk.trc")
    stream = io.StringIO()
    write_trc(frames, stream, 60.0)
    assert stream.getvalue().splitlines()[1:] == text.splitlines()[1:]


def test_trc_of_nobody() -> None:
    frames = [replace(frame, people=()) for frame in walking()]
    for nothing in (frames, []):
        with pytest.raises(ExportError, match="no person"):
            trc(nothing)


def test_trc_of_timestamps_that_are_no_nanoseconds_of_one_clock() -> None:
    frames = walking()
    frames[-1] = replace(frames[-1], timestamp_ns=10**18)
    with pytest.raises(ExportError, match="timestamps"):
        trc(frames)


def test_csv() -> None:
    frames = walking(2)
    frames[4].people[0].positions[9] = np.nan
    text = export_take(frames, ring_rig(4), "csv").decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 30 * 2 * 17
    row = rows[4 * 34 + 9]
    assert (row["sequence"], row["person"], row["joint"]) == ("4", "3", "left_wrist")
    assert (row["x_m"], row["y_m"], row["z_m"]) == ("", "", "")
    other = rows[4 * 34 + 17]
    assert (other["person"], other["joint"], other["time_s"]) == ("4", "nose", "0.066667")
    at = [float(other[key]) for key in ("x_m", "y_m", "z_m")]
    assert at == pytest.approx(frames[4].people[1].positions[0], abs=1e-6)
    assert "nan" not in text.lower()


def test_json() -> None:
    frames = walking(2)
    frames[4].people[0].positions[9] = np.nan
    text = export_take(frames, ring_rig(4), "json").decode()
    content = json.loads(text, parse_constant=pytest.fail)  # NaN and Infinity are not JSON
    assert content["format"] == "quadglass-take/1"
    assert content["cameras"]["cam0"] == [1920, 1080]
    assert content["rate_hz"] == pytest.approx(60, abs=1e-3)
    back = [frame_from_json(frame) for frame in content["frames"]]
    assert np.isnan(back[4].people[0].positions[9]).all()
    assert back[7].people[1].positions == pytest.approx(frames[7].people[1].positions, abs=5.1e-6)


def test_json_of_nothing_is_json() -> None:
    assert json.loads(export_take([], ring_rig(2), "json"))["frames"] == []


def test_formats_know_their_media_types() -> None:
    for name in ("trc", "json", "csv"):
        assert FORMATS[name].extension == name
        assert "/" in FORMATS[name].media_type


def test_an_unknown_format() -> None:
    with pytest.raises(ExportError, match="trc"):
        export_take(walking(), ring_rig(4), "fbx")


def test_rate_of_a_take() -> None:
    frames = take(bodies(wave(1.0)), 100.0)
    del frames[50:60]
    assert rate_of(frames) == pytest.approx(100.0, abs=1e-3)
    assert rate_of(frames[:1]) == 30.0
