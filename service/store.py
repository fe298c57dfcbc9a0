"""Rigs and their calibrations in the data directory.

    rigs/NAME/rig.json                     kind, and which calibration is active
    calibrations/ID/{rig.yaml,report.json,calibration.json}    written once, never changed

Captures lie beside them (`takes.py`), jobs too (`jobs.py`). A calibration becomes visible when its
directory, written under another name, is renamed: it is there whole or not at all.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from calibration.rig import Rig
from calibration.rig_file import rig_from_yaml, rig_to_yaml

from .errors import Exists, NotCalibrated, NotFound
from .files import read_json, sweep_parts, sync_directory, write_atomic, write_json
from .names import checked_name

__all__ = ["CalibrationRecord", "RigRecord", "Store", "now"]

_CALIBRATION_ID = re.compile(r"c(\d+)")
_RIGS_IN_MEMORY = 64


@dataclass(frozen=True, slots=True)
class RigRecord:
    """A rig as it is kept: its name, and which calibration is in force."""

    name: str
    kind: str  # quad | stereo | multi
    created: str
    calibration: str | None = None


@dataclass(frozen=True, slots=True)
class CalibrationRecord:
    """An immutable calibration of a rig."""

    id: str
    rig: str
    created: str
    origin: Literal["imported", "calibrated"]
    cameras: tuple[str, ...]
    grade: str | None = None  # of the verdict


class Store:
    """The data directory (state: the files in it)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._rigs = root / "rigs"
        self._calibrations = root / "calibrations"
        for directory in (self._rigs, self._calibrations):
            directory.mkdir(parents=True, exist_ok=True)
        sweep_parts(root)
        for left in self._calibrations.glob(".new-*"):
            shutil.rmtree(left, ignore_errors=True)
        self._read_rig = lru_cache(maxsize=_RIGS_IN_MEMORY)(self._read_rig_file)

    def create_rig(self, name: str, kind: str) -> RigRecord:
        """A new rig without a calibration.

        Raises:
            BadName: not a name for a file.
            Exists: there is one of that name.
        """
        record = RigRecord(checked_name("rig", name), kind, now())
        try:
            (self._rigs / name).mkdir()
        except FileExistsError as error:
            raise Exists(
                f"there is a rig {name!r} already; choose another name", field="/name"
            ) from error
        self._save(record)
        return record

    def rigs(self) -> list[RigRecord]:
        """All rigs by name."""
        return [RigRecord(**read_json(path)) for path in sorted(self._rigs.glob("*/rig.json"))]

    def rig(self, name: str) -> RigRecord:
        """One rig.

        Raises:
            BadName, NotFound: there cannot be, or is, none of that name.
        """
        path = self._rigs / checked_name("rig", name) / "rig.json"
        if not path.exists():
            raise NotFound(
                f"there is no rig {name!r}; GET /v1/rigs lists them, "
                "PUT /v1/rigs/NAME/rig.yaml makes one"
            )
        return RigRecord(**read_json(path))

    def has_rig(self, name: str) -> bool:
        """Whether there is a rig of that name."""
        return (self._rigs / checked_name("rig", name) / "rig.json").exists()

    def active_rig(self, name: str) -> tuple[str, Rig]:
        """Id and cameras of the calibration in force.

        Raises:
            NotCalibrated: the rig has none.
        """
        record = self.rig(name)
        if record.calibration is None:
            raise NotCalibrated(
                f"rig {name!r} has no calibration; PUT /v1/rigs/{name}/rig.yaml, or "
                f"POST /v1/rigs/{name}/calibrations and activate the result"
            )
        return record.calibration, self.calibrated_rig(record.calibration)

    def activate(self, calibration: str) -> RigRecord:
        """Makes a calibration the one in force for its rig."""
        found = self.calibration(calibration)
        record = replace(self.rig(found.rig), calibration=found.id)
        self._save(record)
        return record

    def add_calibration(
        self,
        name: str,
        rig: Rig,
        report: Mapping[str, Any],
        origin: Literal["imported", "calibrated"],
    ) -> CalibrationRecord:
        """Keeps a calibration of the rig of that name; it does not become active by itself."""
        new = self._calibrations / f".new-{secrets.token_hex(8)}"
        new.mkdir()
        write_atomic(new / "rig.yaml", rig_to_yaml(replace(rig, name=name)).encode())
        write_json(new / "report.json", report)
        grade = rig.verdict.grade if rig.verdict else None
        while True:
            record = CalibrationRecord(self._next_id(), name, now(), origin, rig.names, grade)
            write_json(new / "calibration.json", asdict(record))
            try:
                new.rename(self._calibrations / record.id)
            except OSError:  # another process took the number: a directory with files is there
                if not (self._calibrations / record.id).exists():
                    raise
                continue
            sync_directory(self._calibrations)
            return record

    def calibrations(self, rig: str) -> list[CalibrationRecord]:
        """The calibrations of a rig, oldest first."""
        found = [self.calibration(path.name) for path in self._numbered()]
        return [record for record in found if record.rig == rig]

    def calibration(self, calibration: str) -> CalibrationRecord:
        """One calibration.

        Raises:
            BadName, NotFound: there cannot be, or is, none with that id.
        """
        path = self._calibration_path(calibration) / "calibration.json"
        values = read_json(path)
        return CalibrationRecord(**{**values, "cameras": tuple(values["cameras"])})

    def calibrated_rig(self, calibration: str) -> Rig:
        """The cameras of a calibration."""
        self._calibration_path(calibration)
        return self._read_rig(calibration)

    def rig_yaml(self, calibration: str) -> str:
        """A calibration as its rig file."""
        return (self._calibration_path(calibration) / "rig.yaml").read_text(encoding="utf-8")

    def report(self, calibration: str) -> dict[str, Any]:
        """What was measured while calibrating."""
        report = json.loads((self._calibration_path(calibration) / "report.json").read_text())
        assert isinstance(report, dict), f"report of {calibration} is no object"
        return report

    def _read_rig_file(self, calibration: str) -> Rig:
        return rig_from_yaml((self._calibrations / calibration / "rig.yaml").read_bytes())

    def _calibration_path(self, calibration: str) -> Path:
        path = self._calibrations / checked_name("calibration", calibration)
        if not path.is_dir():
            raise NotFound(f"there is no calibration {calibration!r}; GET /v1/rigs/RIG lists them")
        return path

    def _numbered(self) -> list[Path]:
        paths = [
            path for path in self._calibrations.iterdir() if _CALIBRATION_ID.fullmatch(path.name)
        ]
        return sorted(paths, key=lambda path: int(path.name[1:]))

    def _next_id(self) -> str:
        paths = self._numbered()
        return f"c{int(paths[-1].name[1:]) + 1 if paths else 1}"

    def _save(self, record: RigRecord) -> None:
        write_json(self._rigs / record.name / "rig.json", asdict(record))


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
