"""What the service is told: defaults in code, then one YAML file, then QUADGLASS_* variables.

`Settings` is loaded once, in the entry point, and its parts are passed down. A variable is named
after its place: `QUADGLASS_DATA_DIR`, `QUADGLASS_HTTP_PORT` for `http.port`, and so on; a list is
written as YAML (`[…]`). Keys that nobody knows are refused, in the file and in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from quadglass.webhook import signature_of

from .errors import BadSettings

__all__ = [
    "CONFIG_VARIABLE",
    "MIB",
    "PREFIX",
    "ApiKey",
    "BatchSettings",
    "HttpSettings",
    "LimitSettings",
    "LogSettings",
    "ModelSettings",
    "QueueSettings",
    "Scope",
    "Settings",
    "StoreSettings",
    "StreamSettings",
    "WebhookSettings",
    "WorkerSettings",
    "load_settings",
]

PREFIX = "QUADGLASS_"
CONFIG_VARIABLE = "QUADGLASS_CONFIG"  # path of the YAML file where the entry point gave none
MIB = 1024 * 1024
Scope = Literal["read", "capture", "admin"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ApiKey(_Part):
    """One key: who has it, its slow hash (see `hashing.py`), and what it may do."""

    name: str
    hash: str
    scopes: tuple[Scope, ...] = ("read", "capture")


class HttpSettings(_Part):
    """Where to listen, and who may ask."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    keys: tuple[ApiKey, ...] = ()  # besides those that `quadglass keys` keeps in the data directory
    # Listen beyond loopback without keys: only where something else keeps strangers out, such as a
    # container whose port is published on 127.0.0.1.
    open_listen: bool = False


class LimitSettings(_Part):
    """What is refused before it costs anything."""

    body_bytes: int = Field(default=64 * MIB, ge=1)  # frame sets, images, everything but uploads
    upload_bytes: int = Field(default=2048 * MIB, ge=1)  # footage of a calibration
    picture_pixels: int = Field(default=50_000_000, ge=1)  # per picture, read from its header
    zip_bytes: int = Field(default=4096 * MIB, ge=1)  # a zip's files, unpacked
    zip_files: int = Field(default=4000, ge=1)
    footage_pictures: int = Field(default=4000, ge=1)  # images in one upload


class QueueSettings(_Part):
    """Where frame sets wait, how many, and how long."""

    kind: Literal["memory", "redis"] = "memory"
    url: str = "redis://127.0.0.1:6379/0"
    length: int = Field(default=64, ge=1)  # frame sets waiting or worked on
    waiting_bytes: int = Field(default=512 * MIB, ge=1)  # of their pictures; memory queue
    deadline_s: float = Field(default=10.0, gt=0)  # from the last byte in to the answer
    claim_idle_s: float = Field(default=10.0, gt=0)  # a worker silent this long has lost its claim
    losses: int = Field(default=3, ge=1)  # lost workers before a frame set is given up
    prefix: str = "quadglass"  # of the keys in Redis


class StreamSettings(_Part):
    """Live streams over WebSockets; together they bound what one of them holds in memory."""

    connections: int = Field(default=32, ge=1)  # streams and those who watch
    message_bytes: int = Field(default=32 * MIB, ge=1024)  # of one message, told in `hello`
    window: int = Field(default=8, ge=1)  # frame sets of one stream that are read and not answered
    window_bytes: int = Field(default=64 * MIB, ge=1)  # of their pictures; one set always fits
    stall_s: float = Field(default=10.0, gt=0)  # a reader that takes nothing for so long is let go


class BatchSettings(_Part):
    """How many pictures go through the network at once, and how long they may wait for it."""

    pictures: int = Field(default=8, ge=1)
    wait_ms: float = Field(default=2.0, ge=0)


class ModelSettings(_Part):
    """Which network, and what it runs on."""

    # Live capture's; `detect` and takes from files choose quadglass-m where nothing is named.
    name: str = "quadglass-s"
    weights: Path | None = None  # a file of one's own instead of the shipped weights
    # torch: PyTorch with our kernels, on the GPU if there is one; also runs checkpoints.
    backend: Literal["onnx", "torch"] = "onnx"
    threads: int = Field(default=1, ge=1)  # one session with one thread was measured fastest
    providers: tuple[str, ...] = ("CPUExecutionProvider",)  # of the onnx backend


class WorkerSettings(_Part):
    """Workers inside the service process."""

    threads: int = Field(default=1, ge=0)  # 0: other processes work (`quadglass work`)


class StoreSettings(_Part):
    """What is kept of a take besides its results."""

    keep_frames: Literal["all", "last", "none"] = "all"  # reduced pictures, for the page
    preview_side: int = Field(default=640, ge=16)  # their longer side, pixels
    preview_bytes: int = Field(default=1024 * MIB, ge=0)  # per capture; older ones go first
    calibration_jobs: int = Field(default=4, ge=1)  # waiting or running
    video_jobs: int = Field(default=4, ge=1)  # videos being worked on
    # Answers to an Idempotency-Key and to tickets: kept so long, and so many of each at most.
    answers_s: float = Field(default=86_400.0, gt=0)
    answers: int = Field(default=10_000, ge=1)


class WebhookSettings(_Part):
    """Who is told of finished jobs; a request cannot name an address, so nobody else is called."""

    urls: tuple[str, ...] = ()
    secret: SecretStr = SecretStr("")  # `whsec_` and base64, as Standard Webhooks has it
    tries: int = Field(default=12, ge=1)  # over some two hours, then it is given up
    first_wait_s: float = Field(default=2.0, gt=0)  # doubled after each failure
    most_wait_s: float = Field(default=3600.0, gt=0)
    timeout_s: float = Field(default=10.0, gt=0)

    @field_validator("urls")
    @classmethod
    def _addresses(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
                raise ValueError(f"{url[:80]!r} is no http(s) address without a user in it")
        return urls

    @model_validator(mode="after")
    def _signed(self) -> WebhookSettings:
        if self.urls:
            signature_of(self.secret.get_secret_value(), "", 0, b"")
        return self


class LogSettings(_Part):
    """How lines of the log are written, on stderr."""

    format: Literal["text", "json"] = "text"  # json: one object a line, for machines


class Settings(_Part):
    """Everything the service is told."""

    data_dir: Path = Path("data")
    http: HttpSettings = HttpSettings()
    limits: LimitSettings = LimitSettings()
    queue: QueueSettings = QueueSettings()
    stream: StreamSettings = StreamSettings()
    batch: BatchSettings = BatchSettings()
    model: ModelSettings = ModelSettings()
    worker: WorkerSettings = WorkerSettings()
    store: StoreSettings = StoreSettings()
    webhooks: WebhookSettings = WebhookSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _somebody_works(self) -> Settings:
        if self.queue.kind == "memory" and self.worker.threads == 0:
            raise ValueError(
                "worker.threads is 0 with the memory queue, so nobody would work; "
                "take 1 or more, or queue.kind: redis"
            )
        return self


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    Args:
        path: the YAML file; without it the one that QUADGLASS_CONFIG names, or none.
        environ: the variables, `os.environ` if not given.

    Raises:
        BadSettings: the file cannot be read, a key is unknown, or a value out of range.
    """
    environ = os.environ if environ is None else environ
    if path is None and environ.get(CONFIG_VARIABLE):
        path = Path(environ[CONFIG_VARIABLE])
    values = _from_file(path) if path is not None else {}
    for name, text in sorted(environ.items()):
        if name.startswith(PREFIX) and name != CONFIG_VARIABLE:
            part, field = _place(name)
            target = values if part is None else values.setdefault(part, {})
            if not isinstance(target, dict):
                raise BadSettings(f"settings: {part} must be a mapping", field=f"/{part}")
            target[field] = _value(name, text)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        pointer = "/" + "/".join(str(step) for step in first["loc"])
        raise BadSettings(
            f"settings: {pointer.strip('/').replace('/', '.')}: {first['msg']}; "
            f"correct it in {path or 'the environment'}",
            field=pointer,
        ) from error


def _from_file(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadSettings(f"settings file {path} cannot be read: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise BadSettings(f"settings file {path} must hold a mapping, not {type(values).__name__}")
    return values


def _place(variable: str) -> tuple[str | None, str]:
    """Part and field that a variable sets, from the fields themselves."""
    wanted = variable.removeprefix(PREFIX).lower()
    for name, info in Settings.model_fields.items():
        part = info.annotation
        if isinstance(part, type) and issubclass(part, BaseModel):
            field = wanted.removeprefix(f"{name}_")
            if field != wanted and field in part.model_fields:
                return name, field
        elif wanted == name:
            return None, name
    raise BadSettings(
        f"{variable} sets nothing; the variables are named after the settings, "
        f"{PREFIX}DATA_DIR or {PREFIX}HTTP_PORT for http.port: unset it or correct its name"
    )


def _value(variable: str, text: str) -> Any:
    if not text.lstrip().startswith(("[", "{")):
        return text  # pydantic turns it into the field's type
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadSettings(f"{variable} is not readable as YAML: {error}") from error
