"""Networks that a service can be told to use: ours in the package, and files in the data directory.

DATA/models/NAME.pth      a published checkpoint, as pulled; `quadglass models import` reads it
DATA/models/chosen.json   what `quadglass models use` chose; the settings win where they name one
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from models.weights import default_weights

from .config import ModelSettings, Settings
from .errors import BadSettings, BadValue
from .files import read_json, write_json

__all__ = ["PUBLISHED", "Published", "choose", "packaged", "pull", "shelf", "with_choice"]

_CHOICE = "chosen.json"
_OURS = "quadglass-"  # the other files of the package are no networks that look at pictures
_CHUNK = 1 << 20
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that its authors offer for download."""

    name: str
    url: str
    sha256: str  # the whole of it, or as many first digits as they tell
    says: str


# The eight digits are those that mmpose puts into the names of its files.
PUBLISHED = (
    Published(
        "mmpose-ae",
        "https://download.openmmlab.com/mmpose/bottom_up/hourglass_ae/"
        "hourglass_ae_coco_512x512-90af499f_20210920.pth",
        "90af499f",
        "mmpose's hourglass with associative embedding, COCO, 512 px",
    ),
)


def shelf(data_dir: Path) -> Path:
    """Where pulled files and the choice are."""
    return data_dir / "models"


def packaged() -> list[str]:
    """Names of the networks in the package."""
    folder = default_weights().parent
    return sorted(file.stem for file in folder.glob(f"{_OURS}*.onnx"))


def choose(data_dir: Path, model: ModelSettings) -> None:
    """Makes a network the one that `serve`, `work` and `detect` take."""
    shelf(data_dir).mkdir(parents=True, exist_ok=True)
    weights = None if model.weights is None else str(model.weights.resolve())
    write_json(
        shelf(data_dir) / _CHOICE,
        {"name": model.name, "weights": weights, "backend": model.backend},
    )


def with_choice(settings: Settings) -> Settings:
    """The settings with the network that was chosen, unless they name one themselves.

    Raises:
        BadSettings: the choice cannot be read.
    """
    path = shelf(settings.data_dir) / _CHOICE
    own = settings.model.model_fields_set
    if own & {"name", "weights"} or not path.exists():
        return settings
    try:
        chosen: dict[str, Any] = read_json(path)
        wanted = ModelSettings.model_validate(chosen)
    except ValueError as error:
        raise BadSettings(
            f"{path} is no choice of a network; choose again: quadglass models use NAME"
        ) from error
    if "backend" in own:
        chosen.pop("backend")
    changes = {field: getattr(wanted, field) for field in chosen}
    return settings.model_copy(update={"model": settings.model.model_copy(update=changes)})


def pull(
    data_dir: Path, model: Published, progress: Callable[[int, int | None], None]
) -> tuple[Path, str]:
    """Downloads a published checkpoint, once, and checks it.

    Args:
        data_dir: it lies in `models` there.
        model: which.
        progress: hears bytes so far, and of how many.

    Returns:
        The file, and its SHA-256.

    Raises:
        BadValue: it cannot be had, or is not what was published.
    """
    path = shelf(data_dir) / f"{model.name}.pth"
    if path.exists():
        return path, _checked(path, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with (
            httpx.stream("GET", model.url, follow_redirects=True, timeout=_TIMEOUT_S) as response,
            part.open("wb") as file,
        ):
            response.raise_for_status()
            total = int(response.headers.get("Content-Length", 0)) or None
            done = 0
            for chunk in response.iter_bytes(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                progress(done, total)
        digest = _checked(part, model)
        part.replace(path)
    except httpx.HTTPError as error:
        raise BadValue(
            f"{model.name} cannot be had from {model.url} ({type(error).__name__}: {error}). "
            "Without a network: fetch that file elsewhere, bring it here, then "
            "quadglass models import FILE"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return path, digest


def _checked(path: Path, model: Published) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(model.sha256.lower()):
        raise BadValue(
            f"{model.name}: what {model.url} gave has sha256 {digest[:16]}…, published was "
            f"{model.sha256[:16]}…; it is not used. Remove {path} if it is there; pull again"
        )
    return digest
