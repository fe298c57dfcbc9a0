"""Whatever the OpenAPI document allows, and much that it does not: no answer is a server error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis.core.result import Ok

from service.config import Settings

from .dots import DotPredictor
from .server import running
from .world import RIG_YAML, as_files, frame_set, person


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One service for all requests: what one leaves behind, the next meets."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    with running(settings, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "take-1"})
        yield client
        good = client.post("/v1/rigs/studio/frames", files=as_files(frame_set([person()])))
        assert good.status_code == 200, "after all that, a good frame set is still answered"


def asked(client: httpx.Client, examples: int) -> dict[str, int]:
    """Requests by operation; fails with the first that is answered with 5xx or breaks."""
    schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
    counts: dict[str, int] = {}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @hypothesis_settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            name = case.operation.label
            counts[name] = counts.get(name, 0) + 1
            response = case.call(timeout=20)
            assert response.status_code < 500, (name, case.as_curl_command(), response.text)

        ask()
    return counts


def test_a_few_requests_of_every_operation(client: httpx.Client) -> None:
    counts = asked(client, 2)
    paths = client.get("/openapi.json").json()["paths"]
    assert len(counts) == sum(len(operations) for operations in paths.values())


@pytest.mark.slow
def test_many_requests_of_every_operation(client: httpx.Client) -> None:
    assert sum(asked(client, 200).values()) > 2000
