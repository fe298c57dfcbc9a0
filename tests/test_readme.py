"""What the README tells people to type works as it stands there.

The demo is started by its own line and left serving; the other lines run against it.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import cv2
import pytest

from service.demo import rendered

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
DEMO, CHECK = "bash deploy/demo.sh", "bash deploy/check.sh"
PORT = 8000  # what the README says


def test_the_first_two_blocks_are_the_two_commands():
    assert [block.strip() for block in BLOCKS[:2]] == [DEMO, CHECK]


def test_continuous_integration_calls_exactly_the_second_command():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line.strip() and not line.startswith("#")]
    assert commands[-1].removeprefix("exec ") == CHECK
    assert all(line.startswith(("set ", "cd ")) for line in commands[:-1]), commands


def test_links_and_pictures_exist():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    local = [target for target in targets if "://" not in target]
    missing = [target for target in local if not (ROOT / target).exists()]
    assert local
    assert not missing


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The service as the README's first command leaves it, on rendered footage."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            pytest.skip(f"port {PORT} is taken on this machine, and the README's lines name it")
    folder = tmp_path_factory.mktemp("readme")
    environment = {**os.environ, "QUADGLASS_DATA_DIR": str(folder / "data")}
    # The download is exercised by the demo itself; here the rendered scene keeps the test offline.
    command = [*DEMO.split(), "--rendered", "--frames", "8", "--port", str(PORT)]
    log = folder / "demo.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 300
        while f"the take is on the page: http://127.0.0.1:{PORT}/" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        yield folder
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def test_the_page_is_served(demo):
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=10) as response:
        assert b"Quadglass" in response.read()


def provide(folder, left_by_demo):
    """The files that the README's lines name: a photo, boards, and short synchronized videos."""
    shutil.copy(left_by_demo / "take" / "take.jpg", folder / "photo.jpg")
    (folder / "boards").symlink_to(left_by_demo / "rendered" / "boards")
    moments = list(rendered.film(rendered.studios(), 3))
    for name, camera in zip("abcd", moments[0].images, strict=True):
        size = moments[0].images[camera].shape[1::-1]
        video = cv2.VideoWriter(
            str(folder / f"{name}.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 15, size
        )
        for moment in moments:
            video.write(moment.images[camera])
        video.release()


@pytest.mark.parametrize("block", BLOCKS[2:], ids=lambda block: block.split("\n", 1)[0][:60])
def test_block_runs(demo, tmp_path, block):
    provide(tmp_path, demo / "data" / "demo")
    bin_dir = ROOT / ".venv" / "bin"
    environment = {**os.environ, "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}"}
    environment["QUADGLASS_DATA_DIR"] = str(tmp_path / "data")
    out = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert out.returncode == 0, out.stderr
    if block.startswith("curl"):
        assert json.loads(out.stdout)["people"], "the demo's picture shows people"
