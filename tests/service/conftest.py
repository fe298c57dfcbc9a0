from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.config import Settings

from .dots import DotPredictor
from .server import running
from .world import RIG_YAML

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def predictor() -> DotPredictor:
    return DotPredictor()


@pytest.fixture
def client(settings: Settings, predictor: DotPredictor) -> Iterator[httpx.Client]:
    """A service without rigs."""
    with running(settings, predictor=predictor) as client:
        yield client


@pytest.fixture
def studio(client: httpx.Client) -> httpx.Client:
    """A service with the rig `studio`."""
    response = client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
    assert response.status_code == 201, response.text
    return client


@pytest.fixture(scope="session")
def balancing() -> Path:
    """Four synchronized videos of a person, with a calibration."""
    path = SHARED / "data" / "pose2sim-balancing"
    if not (path / "videos" / "cam01.mp4").exists():
        pytest.skip(f"the sample footage is missing: {path}")
    return path


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
