from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from service.config import Settings

from .dots import DotPredictor
from .server import running


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    with running(settings, predictor=DotPredictor()) as client:
        yield client


def test_the_page_and_its_modules_are_served(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    modules = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert modules
    for module in modules:
        assert client.get(module).status_code == 200, module


def test_nothing_may_be_loaded_from_elsewhere(client: httpx.Client) -> None:
    for path in ("/", "/docs", "/v1/rigs"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "Access-Control-Allow-Origin" not in headers


def test_the_documentation_is_whole_and_loads_nothing(client: httpx.Client) -> None:
    text = client.get("/docs").text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in text
    for said in ("square_mm", "CAMERA", "timestamp_ns", "429", "queue_full"):
        assert said in text
    assert client.get("/docs/style.css").headers["Content-Type"].startswith("text/css")


def test_every_response_has_a_request_id(client: httpx.Client) -> None:
    first, second = (client.get("/health/live").headers["X-Request-ID"] for _ in range(2))
    assert first != second
    given = {"X-Request-ID": "stage-left.7"}
    assert client.get("/health/live", headers=given).headers["X-Request-ID"] == "stage-left.7"
    evil = {"X-Request-ID": "a b<c>"}
    assert client.get("/health/live", headers=evil).headers["X-Request-ID"] != "a b<c>"


def test_metrics_count_requests_by_route_not_by_address(client: httpx.Client) -> None:
    client.get("/v1/rigs/one")
    client.get("/v1/rigs/two")
    client.get("/nothing/at/all")
    text = client.get("/metrics").text
    assert 'quadglass_requests_total{method="GET",route="/v1/rigs/{rig}",status="404"} 2.0' in text
    assert 'route="unmatched",status="404"' in text
    assert "quadglass_workers_warm 1.0" in text
    assert "quadglass_queue_tasks 0.0" in text
