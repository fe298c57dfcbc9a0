"""Everything that a poster can get wrong, each over HTTP: the status, the place, the way out."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.config import LimitSettings, QueueSettings, Settings

from .dots import DotPredictor, draw, jpeg, png
from .server import running, until
from .test_decode import png_header
from .test_frames import waiting
from .world import RIG, RIG_YAML, as_files, frame_set, person

FRAMES = "/v1/rigs/studio/frames"
CALIBRATIONS = "/v1/rigs/studio/calibrations"
BOARD = {"board": "9x6", "square_mm": "25"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One service for all of them: no bad input may harm the next request."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        limits=LimitSettings(body_bytes=2_000_000, upload_bytes=4_000_000, zip_bytes=20_000_000),
    )
    with running(settings, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        yield client
        good = client.post(FRAMES, files=as_files(frame_set([person()])))
        assert good.status_code == 200, "after all that, a good frame set is still answered"


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem, once it is one of that kind."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    found = response.json()
    assert (found["status"], found["code"]) == (status, code)
    assert found["type"] == f"urn:quadglass:problem:{code}"
    assert len(found["detail"]) > 20
    return found


def post_with(client: httpx.Client, camera: str, data: bytes) -> httpx.Response:
    return client.post(FRAMES, files=as_files({**frame_set([]), camera: data}))


def test_not_an_image(client: httpx.Client) -> None:
    found = problem(post_with(client, "cam1", b"#!/bin/sh\n"), 415, "not_an_image")
    assert found["pointer"] == "/cam1"


def test_truncated_jpeg(client: httpx.Client) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 640, 3), dtype=np.uint8)
    data = jpeg(noise)
    found = problem(post_with(client, "cam2", data[: len(data) // 2]), 422, "broken_image")
    assert found["pointer"] == "/cam2"
    assert "cut off" in found["detail"]


def test_png_header_of_50000_by_50000(client: httpx.Client) -> None:
    data = png_header(50_000, 50_000)
    found = problem(post_with(client, "cam0", data), 413, "too_many_pixels")
    assert "2500000000" in found["detail"]
    one = client.post("/v1/images", files={"image": ("x.png", data)})
    problem(one, 413, "too_many_pixels")


def test_unknown_camera(client: httpx.Client) -> None:
    found = problem(post_with(client, "cam7", png(draw([], (8, 8)))), 422, "unknown_camera")
    assert (found["pointer"], found["camera"]) == ("/cam7", "cam7")
    assert "cam0, cam1, cam2, cam3" in found["detail"]


def test_missing_view_is_allowed_and_no_view_is_not(client: httpx.Client) -> None:
    images = frame_set([person()])
    del images["cam0"]
    assert client.post(FRAMES, files=as_files(images)).status_code == 200
    none = client.post(FRAMES, files={}, data={"timestamp_ns": "1"})
    problem(none, 415, "wrong_media_type")  # without a file httpx sends no multipart form
    boundary = '--x\r\nContent-Disposition: form-data; name="timestamp_ns"\r\n\r\n1\r\n--x--\r\n'
    empty = client.post(
        FRAMES, content=boundary, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    problem(empty, 422, "no_views")


def test_wrong_size_for_the_rig(client: httpx.Client) -> None:
    found = problem(post_with(client, "cam3", png(draw([], (630, 400)))), 422, "wrong_frame_size")
    assert (found["pointer"], found["camera"]) == ("/cam3", "cam3")
    for said in ("630 x 400", "640 x 400", "source.scale", "source.offset_px"):
        assert said in found["detail"]


def footage(pictures: dict[str, list[bytes]]) -> list[tuple[str, tuple[str, bytes]]]:
    return [
        (camera, (f"{index:02d}.png", data))
        for camera, images in pictures.items()
        for index, data in enumerate(images)
    ]


def finished(client: httpx.Client, response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 202, response.text
    address = response.headers["Location"]
    over = ("done", "failed", "cancelled")
    until(lambda: client.get(address).json()["state"] in over, "the job is over")
    return dict(client.get(address).json())


def test_no_board_in_any_image(client: httpx.Client) -> None:
    plain = [png(draw([], (320, 240)))] * 3
    response = client.post(CALIBRATIONS, data=BOARD, files=footage({"cam0": plain, "cam1": plain}))
    job = finished(client, response)
    assert job["state"] == "failed"
    assert job["problem"]["code"] == "board_not_found"
    assert job["problem"]["status"] == 422


def chessboard(square_px: int = 24, shift_px: int = 0) -> bytes:
    """A frontal picture of a board of 9 by 6 inner corners."""
    board = np.full((10 * square_px, 14 * square_px, 3), 255, np.uint8)
    for row in range(7):
        for column in range(10):
            if (row + column) % 2 == 0:
                y, x = (row + 1) * square_px, (column + 2) * square_px + shift_px
                board[y : y + square_px, x : x + square_px] = 0
    return png(board)


def test_board_seen_by_only_one_camera(client: httpx.Client) -> None:
    plain = [png(np.full((240, 336, 3), 255, np.uint8))] * 4
    boards = [chessboard(shift_px=shift) for shift in (-20, -5, 5, 20)]
    response = client.post(CALIBRATIONS, data=BOARD, files=footage({"cam0": boards, "cam1": plain}))
    job = finished(client, response)
    assert job["state"] == "failed"
    assert job["problem"]["code"] in ("board_not_found", "too_few_views", "unconnected")
    assert "cam1" in job["problem"]["detail"]


@pytest.mark.parametrize("size", ["0", "-25", "nan", "inf", "wide", ""])
def test_square_size_that_cannot_be(client: httpx.Client, size: str) -> None:
    response = client.post(
        CALIBRATIONS,
        data={"board": "9x6", "square_mm": size},
        files=footage({"cam0": [chessboard()]}),
    )
    assert response.status_code == 422, response.text
    assert response.json()["pointer"] == "/square_mm"


def test_board_that_looks_the_same_from_both_ends(client: httpx.Client) -> None:
    response = client.post(
        CALIBRATIONS,
        data={"board": "9x7", "square_mm": "25"},
        files=footage({"cam0": [chessboard()]}),
    )
    problem(response, 422, "bad_board")


YAML_BOMB = b"""
a: &a [x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]
f: [*e, *e, *e, *e, *e, *e, *e, *e, *e]
format: quadglass-rig/1
"""


def put(client: httpx.Client, text: bytes) -> httpx.Response:
    return client.put("/v1/rigs/other/rig.yaml", content=text)


def test_yaml_bomb(client: httpx.Client) -> None:
    problem(put(client, YAML_BOMB), 422, "bad_rig_file")
    problem(put(client, b"format: quadglass-rig/1\nx: " + b"[" * 100_000), 422, "bad_rig_file")


def test_unknown_key_in_yaml(client: httpx.Client) -> None:
    text = RIG_YAML.replace(b"image_size:", b"image_sise: [1, 1]\n    image_size:", 1)
    found = problem(put(client, text), 422, "bad_rig_file")
    assert "image_sise" in found["detail"]


def test_yaml_that_names_code(client: httpx.Client) -> None:
    text = b"!!python/object/apply:os.system ['true']\n" + RIG_YAML
    problem(put(client, text), 422, "bad_rig_file")


@pytest.mark.parametrize("value", [b".nan", b".inf", b"-.inf"])
def test_nan_in_a_matrix(client: httpx.Client, value: bytes) -> None:
    text = RIG_YAML.replace(b"700.0", value, 1)
    assert text != RIG_YAML
    found = problem(put(client, text), 422, "bad_rig_file")
    assert "K" in found["detail"]


def test_a_bad_rig_file_leaves_no_rig_behind(client: httpx.Client) -> None:
    put(client, YAML_BOMB)
    assert client.get("/v1/rigs/other").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/v1/rigs/..%2F..%2Fetc/rig.yaml",
        "/v1/rigs/%2e%2e/rig.yaml",
        "/v1/rigs/.hidden/rig.yaml",
        "/v1/rigs/a%00b/rig.yaml",
        "/v1/rigs/a%5Cb/rig.yaml",
        "/v1/captures/..%2F..%2Fetc%2Fpasswd/frames",
        "/v1/captures/%2e%2e/export?format=trc",
        "/v1/captures/a/frames/0/..%2F..%2Fcapture.json.jpg",
        "/v1/calibrations/..%2Fc1/rig.yaml",
        "/v1/jobs/..%2F..",
        "/static/..%2F..%2Fapp.py",
        "/static/%2e%2e/app.py",
    ],
)
def test_path_traversal_in_an_address(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code in (404, 422), response.text
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "", ".x", "a" * 65, "näme", "a b", "a\\b"])
def test_path_traversal_in_a_name(client: httpx.Client, name: str) -> None:
    for response in (
        client.post("/v1/rigs", json={"name": name}),
        client.post("/v1/captures", json={"rig": "studio", "name": name}),
    ):
        problem(response, 422, "bad_value")
    images = as_files(frame_set([]))
    form = {"capture": name}
    response = client.post(FRAMES, files=images, data=form)
    problem(response, 422, "bad_name")


def test_path_traversal_in_a_camera_and_in_a_file_name(client: httpx.Client) -> None:
    def post(camera: str, file_name: str) -> httpx.Response:
        return client.post(CALIBRATIONS, data=BOARD, files=[(camera, (file_name, chessboard()))])

    problem(post("../cam0", "a.png"), 422, "bad_name")
    for file_name in ("../a.png", "/etc/a.png", "..\\a.png", "C:a.png"):
        problem(post("cam0", file_name), 422, "bad_upload")


def zipped(*files: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([("../evil.png", chessboard())], "bad_upload"),
        ([("/evil.png", chessboard())], "bad_upload"),
        ([("a\\..\\evil.png", chessboard())], "bad_upload"),
        ([("zeros.bin", bytes(10_000_000))], "bad_upload"),  # a thousandfold
        ([(f"{n}.bin", bytes(3_000_000)) for n in range(10)], "bad_upload"),
        ([("inner.zip", zipped(("a.png", chessboard())))], "unsupported"),
        ([("a.txt", b"hello")], "unsupported"),
        ([("a.png", png_header(50_000, 50_000))], "too_many_pixels"),
    ],
)
def test_zips_that_are_no_footage(
    client: httpx.Client, files: list[tuple[str, bytes]], code: str
) -> None:
    response = client.post(CALIBRATIONS, data=BOARD, files={"cam0": ("a.zip", zipped(*files))})
    assert response.json()["code"] == code, response.text
    assert response.status_code in (413, 415, 422)


def test_a_damaged_zip(client: httpx.Client) -> None:
    data = zipped(("a.png", chessboard()))
    cut = client.post(CALIBRATIONS, data=BOARD, files={"cam0": ("a.zip", data[:-30])})
    problem(cut, 422, "bad_upload")
    wrong = bytearray(data)
    wrong[60:80] = bytes(20)
    response = client.post(CALIBRATIONS, data=BOARD, files={"cam0": ("a.zip", bytes(wrong))})
    problem(response, 422, "bad_upload")


def test_body_over_the_limit(client: httpx.Client) -> None:
    large = {"image": ("x.png", bytes(2_100_000))}
    found = problem(client.post("/v1/images", files=large), 413, "body_too_large")
    assert "2000000" in found["detail"]


def test_body_over_the_limit_without_a_length(client: httpx.Client) -> None:
    """Counted as it comes: the sender stops being listened to at the limit."""
    sent = []

    def chunks() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        for index in range(40):
            sent.append(index)
            yield bytes(100_000)

    try:
        response = client.post(
            "/v1/images",
            content=chunks(),
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
    except httpx.WriteError:
        return  # the connection was closed on the sender, which is as good
    problem(response, 413, "body_too_large")
    put_response = client.put(
        "/v1/rigs/large/rig.yaml", content=(bytes(100_000) for _ in range(40))
    )
    problem(put_response, 413, "body_too_large")


def test_uploads_have_a_limit_of_their_own(client: httpx.Client) -> None:
    response = client.post(CALIBRATIONS, data=BOARD, files={"cam0": ("a.mp4", bytes(4_100_000))})
    problem(response, 413, "body_too_large")


def test_full_queue(tmp_path: Path) -> None:
    hold = threading.Event()
    settings = Settings(data_dir=tmp_path, queue=QueueSettings(length=3))
    with running(settings, predictor=DotPredictor(hold=hold)) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        files = as_files(frame_set([person()]))
        with ThreadPoolExecutor(3) as pool:
            accepted = [pool.submit(client.post, FRAMES, files=files) for _ in range(3)]
            until(lambda: waiting(client) == 3, "three wait")
            refused = client.post(FRAMES, files=files)
            hold.set()
            assert [job.result().status_code for job in accepted] == [200] * 3
        found = problem(refused, 429, "queue_full")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert "3 frame sets" in found["detail"]
        assert client.post(FRAMES, files=files).status_code == 200


def test_values_that_are_no_values(client: httpx.Client) -> None:
    images = as_files(frame_set([]))
    for form, pointer in (
        ({"timestamp_ns": "soon"}, "/timestamp_ns"),
        ({"timestamp_ns": "-5"}, "/timestamp_ns"),
        ({"timestamp_ns": "1e9"}, "/timestamp_ns"),
        ({"timestamp_ns": "9" * 30}, "/timestamp_ns"),
        ({"shutter": "open"}, "/shutter"),
    ):
        found = problem(client.post(FRAMES, files=images, data=form), 422, "bad_value")
        assert found["pointer"] == pointer


def test_a_picture_sent_twice(client: httpx.Client) -> None:
    data = frame_set([])["cam0"]
    twice = [("cam0", ("a.png", data)), ("cam0", ("b.png", data))]
    problem(client.post(FRAMES, files=twice), 400, "malformed")


def test_more_views_than_any_rig_has(client: httpx.Client) -> None:
    many = {f"cam{index}": ("a.png", b"x") for index in range(40)}
    assert client.post(FRAMES, files=many).status_code == 400


def test_the_rig_is_still_whole(client: httpx.Client) -> None:
    found = client.get("/v1/rigs/studio").json()
    assert (found["calibration"], found["camera_names"]) == ("c1", list(RIG.names))
