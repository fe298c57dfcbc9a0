from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from calibration.rig_file import rig_from_yaml

from .world import RIG, RIG_YAML


def test_a_rig_is_made_listed_and_found(client: httpx.Client) -> None:
    assert client.get("/v1/rigs").json() == {"rigs": []}
    response = client.post("/v1/rigs", json={"name": "stage", "kind": "quad"})
    assert response.status_code == 201
    assert response.headers["Location"] == "/v1/rigs/stage"
    found = client.get("/v1/rigs/stage").json()
    assert (found["name"], found["kind"], found["calibration"]) == ("stage", "quad", None)
    assert found["camera_names"] == found["calibrations"] == found["jobs"] == []
    assert [rig["name"] for rig in client.get("/v1/rigs").json()["rigs"]] == ["stage"]


def test_a_calibration_of_ones_own_makes_the_rig(client: httpx.Client) -> None:
    response = client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
    assert response.status_code == 201
    found = response.json()
    assert (found["kind"], found["calibration"]) == (RIG.kind, "c1")
    camera, truth = found["cameras"][2], RIG.cameras[2]
    assert camera["name"] == truth.name
    assert camera["frame_size_px"] == camera["size_px"] == list(truth.size_px)
    assert camera["center"] == pytest.approx(truth.center_world.tolist(), abs=1e-6)
    assert camera["K"] == truth.K.tolist()
    again = client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
    assert (again.status_code, again.json()["calibration"]) == (200, "c2")
    calibrations = client.get("/v1/rigs/studio").json()["calibrations"]
    assert [(one["id"], one["origin"]) for one in calibrations] == [
        ("c1", "imported"),
        ("c2", "imported"),
    ]


def test_the_rig_file_comes_back_with_the_name_it_was_put_under(client: httpx.Client) -> None:
    client.put("/v1/rigs/mine/rig.yaml", content=RIG_YAML)
    response = client.get("/v1/rigs/mine/rig.yaml")
    assert response.headers["Content-Type"].startswith("application/yaml")
    back = rig_from_yaml(response.content)
    assert (back.name, back.names) == ("mine", RIG.names)
    for one, other in zip(back.cameras, RIG.cameras, strict=True):
        assert pytest.approx(other.K) == one.K
        assert one.cam_from_world == pytest.approx(other.cam_from_world)


def test_calibrations_never_change_and_any_of_them_can_be_in_force(client: httpx.Client) -> None:
    client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
    first = client.get("/v1/calibrations/c1/rig.yaml").content
    client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML.replace(b"700.0", b"701.0"))
    assert client.get("/v1/calibrations/c1/rig.yaml").content == first
    assert client.get("/v1/calibrations/c2/rig.yaml").content != first
    assert client.get("/v1/calibrations/c1").json()["active"] is False
    response = client.post("/v1/calibrations/c1/activate")
    assert response.json() == {"rig": "studio", "calibration": "c1"}
    assert client.get("/v1/rigs/studio").json()["calibration"] == "c1"
    assert client.get("/v1/calibrations/c1").json()["active"] is True
    assert client.get("/v1/calibrations/c1/report.json").json() == {"origin": "imported"}


def test_a_calibration_of_another_program_is_read_by_its_content(
    client: httpx.Client, balancing: Path
) -> None:
    data = (balancing / "calibration" / "Calib.qca.txt").read_bytes()
    response = client.put("/v1/rigs/balancing/rig.yaml", content=data)
    assert response.status_code == 201, response.text
    assert response.json()["camera_names"] == ["cam01", "cam02", "cam03", "cam04"]
    assert response.json()["cameras"][0]["size_px"] == [1088, 1920]


def test_bytes_that_are_no_calibration(client: httpx.Client) -> None:
    response = client.put("/v1/rigs/x/rig.yaml", content=b"\x00\x01\x02nonsense")
    assert response.status_code == 422
    assert response.json()["code"] == "bad_rig_file"
