"""Every call of the service as a description: what to ask, and what to make of the answer.

`Client` and `AsyncClient` only send these; so the two cannot differ.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from .results import PictureResult, Result, picture_result_of, result_of

__all__ = ["Call", "Picture"]

T = TypeVar("T")
Picture = bytes | Path  # an encoded picture, or where it lies
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, str | int | float] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[str, tuple[str, bytes]]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True  # safe to send again when nobody knows whether it arrived

    def arguments(self) -> Json:
        """What httpx is given besides method and address."""
        wanted = {
            "params": self.params,
            "json": self.json,
            "content": self.content,
            "data": self.data,
            "files": self.files,
            "headers": self.headers,
        }
        return {key: value for key, value in wanted.items() if value}


def ready() -> Call[Json]:
    """Whether a frame set would be answered now."""
    return Call("GET", "/health/ready", _json)


def rigs() -> Call[list[Json]]:
    """All rigs."""
    return Call("GET", "/v1/rigs", lambda response: list(response.json()["rigs"]))


def rig(name: str) -> Call[Json]:
    """One rig with its cameras."""
    return Call("GET", f"/v1/rigs/{_part(name)}", _json)


def rig_file(name: str) -> Call[str]:
    """The active calibration as YAML."""
    return Call("GET", f"/v1/rigs/{_part(name)}/rig.yaml", lambda response: response.text)


def create_rig(name: str, kind: str) -> Call[Json]:
    """A rig to be calibrated."""
    return Call("POST", "/v1/rigs", _json, json={"name": name, "kind": kind}, repeatable=False)


def put_rig(name: str, calibration: str | bytes | Path) -> Call[Json]:
    """A calibration of one's own, in any format that the service reads."""
    if isinstance(calibration, Path):
        calibration = calibration.read_bytes()
    content = calibration.encode() if isinstance(calibration, str) else calibration
    return Call("PUT", f"/v1/rigs/{_part(name)}/rig.yaml", _json, content=content)


def calibrate(
    name: str, board: str, square_mm: float, footage: Mapping[str, Iterable[Path]], values: Json
) -> Call[Json]:
    """A calibration job from each camera's files."""
    files = [
        (camera, (path.name, path.read_bytes()))
        for camera, paths in footage.items()
        for path in paths
    ]
    data = {"board": board, "square_mm": f"{square_mm:g}"}
    data |= {key: str(value) for key, value in values.items() if value is not None}
    path = f"/v1/rigs/{_part(name)}/calibrations"
    return Call("POST", path, _json, data=data, files=files, repeatable=False)


def job(identity: str) -> Call[Json]:
    """How far a job is."""
    return Call("GET", f"/v1/jobs/{_part(identity)}", _json)


def cancel_job(identity: str) -> Call[Json]:
    """Asks a job to stop."""
    return Call("DELETE", f"/v1/jobs/{_part(identity)}", _json, repeatable=False)


def detect(picture: Picture) -> Call[PictureResult]:
    """People in one picture."""
    return Call(
        "POST",
        "/v1/images",
        lambda response: picture_result_of(response.json()),
        files=[("image", _file("image", picture))],
    )


def post_frames(
    name: str, pictures: Mapping[str, Picture], timestamp_ns: int | None, capture: str | None
) -> Call[Result]:
    """One frame set. Its own Idempotency-Key makes it safe to send again."""
    data: dict[str, str] = {}
    if timestamp_ns is not None:
        data["timestamp_ns"] = str(timestamp_ns)
    if capture is not None:
        data["capture"] = capture
    return Call(
        "POST",
        f"/v1/rigs/{_part(name)}/frames",
        lambda response: result_of(response.json()),
        data=data,
        files=[(camera, _file(camera, picture)) for camera, picture in pictures.items()],
        headers={"Idempotency-Key": secrets.token_hex(16)},
    )


def captures() -> Call[list[Json]]:
    """All captures, newest first."""
    return Call("GET", "/v1/captures", lambda response: list(response.json()["captures"]))


def capture(name: str) -> Call[Json]:
    """One capture."""
    return Call("GET", f"/v1/captures/{_part(name)}", _json)


def create_capture(rig_name: str, name: str | None) -> Call[Json]:
    """A capture to post frames into."""
    body = {"rig": rig_name} | ({} if name is None else {"name": name})
    return Call("POST", "/v1/captures", _json, json=body, repeatable=False)


def rename_capture(name: str, new_name: str) -> Call[Json]:
    """The same capture under another name."""
    path = f"/v1/captures/{_part(name)}"
    return Call("PATCH", path, _json, json={"name": new_name}, repeatable=False)


def delete_capture(name: str) -> Call[None]:
    """A capture, gone for good."""
    path = f"/v1/captures/{_part(name)}"
    return Call("DELETE", path, lambda response: None, repeatable=False)


def frames(name: str, first: int, limit: int) -> Call[tuple[list[Result], int | None]]:
    """A page of a capture's results, and where the next one begins."""

    def read(response: httpx.Response) -> tuple[list[Result], int | None]:
        page = response.json()
        return [result_of(document) for document in page["frames"]], page["next"]

    path = f"/v1/captures/{_part(name)}/frames"
    return Call("GET", path, read, params={"from": first, "limit": limit})


def export(name: str, form: str, cutoff_hz: float | None) -> Call[bytes]:
    """A whole take as a file."""
    params: dict[str, str | int | float] = {"format": form}
    if cutoff_hz is not None:
        params["cutoff_hz"] = cutoff_hz
    path = f"/v1/captures/{_part(name)}/export"
    return Call("GET", path, lambda response: response.content, params=params)


def _json(response: httpx.Response) -> Json:
    return dict(response.json())


def _file(name: str, picture: Picture) -> tuple[str, bytes]:
    if isinstance(picture, Path):
        return picture.name, picture.read_bytes()
    return name, picture


def _part(name: str) -> str:
    return quote(name, safe="")
