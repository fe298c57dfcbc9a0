"""Frame sets of synchronized videos."""

import cv2
import numpy as np
import pytest

from service.errors import BadValue
from service.videos import frame_set_at, frame_sets, look_at


def write_video(path, frames, rate_hz=25.0):
    """A video whose frame number is its brightness in steps of ten."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate_hz, (64, 48))
    for number in range(frames):
        writer.write(np.full((48, 64, 3), 10 * number, dtype=np.uint8))
    writer.release()
    return path


def numbers(frame_set):
    return {name: round(float(image.mean()) / 10) for name, image in frame_set.images.items()}


@pytest.fixture
def paths(tmp_path):
    return {
        "cam0": write_video(tmp_path / "a.avi", 6),
        "cam1": write_video(tmp_path / "b.avi", 4),
    }


def test_frame_sets_end_with_the_shortest_video(paths):
    videos = look_at(paths)
    assert (videos.rate_hz, videos.frames) == (25.0, 4)
    assert videos.counts == {"cam0": 6, "cam1": 4}
    sets = list(frame_sets(videos))
    assert [numbers(one) for one in sets] == [{"cam0": n, "cam1": n} for n in range(4)]
    assert [one.timestamp_ns for one in sets] == [0, 40_000_000, 80_000_000, 120_000_000]


def test_only_the_first_so_many(paths):
    assert len(list(frame_sets(look_at(paths), 2))) == 2


def test_one_frame_set_by_its_number(paths):
    videos = look_at(paths)
    assert numbers(frame_set_at(videos, 3)) == {"cam0": 3, "cam1": 3}
    with pytest.raises(BadValue, match="end before frame 4"):
        frame_set_at(videos, 4)


def test_videos_of_two_rates_are_refused_unless_the_rate_is_said(tmp_path):
    paths = {
        "cam0": write_video(tmp_path / "a.avi", 2, 25.0),
        "cam1": write_video(tmp_path / "b.avi", 2, 30.0),
    }
    with pytest.raises(BadValue, match="cam0 25, cam1 30 Hz"):
        look_at(paths)
    assert look_at(paths, 50.0).rate_hz == 50.0


def test_a_file_that_is_no_video(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(BadValue, match=r"'cam0'.*no video"):
        look_at({"cam0": tmp_path / "a.mp4"})
