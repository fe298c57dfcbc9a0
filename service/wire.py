"""Tasks and answers as the fields of a stream entry, and back.

Pictures stay the bytes that were posted; numbers and results are text. The rig travels with its
frame set, so a worker needs neither the data directory nor a memory of earlier ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from calibration.rig import Rig
from calibration.rig_file import rig_from_yaml
from capture.people import Frame, Prediction
from capture.regions import Region
from capture.result import frame_from_json, frame_to_json

from .errors import code_of, from_wire
from .pipeline import Seen
from .task import Answer, Hint, Model, Result, Task

__all__ = [
    "REPLY_TO",
    "Fields",
    "Keys",
    "answer_from_fields",
    "answer_to_fields",
    "flat",
    "task_from_fields",
    "task_to_fields",
]

Fields = Mapping[bytes, bytes]
REPLY_TO = b"reply_to"  # field of a task: the stream that its answer goes to
_IMAGE = b"image:"
_RIGS_IN_MEMORY = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """Where things lie in Redis."""

    prefix: str

    @property
    def tasks(self) -> str:
        """The stream of frame sets."""
        return f"{self.prefix}:tasks"

    @property
    def workers(self) -> str:
        """The sorted set of workers by the time until which they are believed to live."""
        return f"{self.prefix}:workers"

    @property
    def lost(self) -> str:
        """The stream of frame sets given up."""
        return f"{self.prefix}:lost"

    def answers(self, service: str) -> str:
        """The stream of answers to one service process."""
        return f"{self.prefix}:answers:{service}"


def flat(fields: Fields) -> list[bytes]:
    """Names and values in turn, as a script's arguments are."""
    return [item for pair in fields.items() for item in pair]


def task_to_fields(task: Task, rig_yaml: str) -> dict[bytes, bytes]:
    """A task as fields; `rig_yaml` is its rig's, empty without one."""
    numbers = (task.posted_ns, task.deadline_ns, task.preview_side)
    fields = {
        b"id": task.id.encode(),
        b"numbers": json.dumps(numbers).encode(),
        b"rig": rig_yaml.encode(),
        b"hint": json.dumps(_hint_to_json(task.hint)).encode(),
        b"marks": json.dumps(dict(task.marks)).encode(),
    }
    return {**fields, **{_IMAGE + name.encode(): data for name, data in task.images.items()}}


def task_from_fields(fields: Fields) -> Task:
    """The task that `task_to_fields` wrote."""
    posted_ns, deadline_ns, preview_side = json.loads(fields[b"numbers"])
    rig_yaml = fields[b"rig"]
    return Task(
        images=_pictures(fields),
        rig=_rig(rig_yaml) if rig_yaml else None,
        posted_ns=posted_ns,
        deadline_ns=deadline_ns,
        preview_side=preview_side,
        hint=_hint(json.loads(fields[b"hint"])),
        id=fields[b"id"].decode(),
        marks=json.loads(fields.get(b"marks", b"{}")),  # none from an older service
    )


def answer_to_fields(answer: Answer) -> dict[bytes, bytes]:
    """An answer as fields."""
    fields = {
        b"id": answer.task_id.encode(),
        b"answer": json.dumps(_outcome(answer.outcome), allow_nan=False).encode(),
    }
    if isinstance(answer.outcome, Exception):
        return fields
    previews = answer.outcome.previews
    return {**fields, **{_IMAGE + name.encode(): data for name, data in previews.items()}}


def answer_from_fields(fields: Fields) -> Answer:
    """The answer that `answer_to_fields` wrote."""
    task_id = fields[b"id"].decode()
    values = json.loads(fields[b"answer"])
    if "error" in values:
        return Answer(task_id, from_wire(**values["error"]))
    frame = frame_from_json(values["frame"])
    seen = Seen(
        people=frame.people,
        single_view=frame.single_view,
        sizes_px={name: (size[0], size[1]) for name, size in values["sizes_px"].items()},
        timings_ms=dict(frame.timings_ms),
    )
    return Answer(task_id, Result(seen, Model(**values["model"]), _pictures(fields)))


def _outcome(outcome: Result | Exception) -> dict[str, Any]:
    if isinstance(outcome, Exception):
        place = {name: getattr(outcome, name, None) for name in ("field", "camera")}
        return {"error": {"code": code_of(outcome), "message": str(outcome), **place}}
    seen, model = outcome.seen, outcome.model
    # Rig, capture and time are the poster's to fill in.
    frame = Frame(
        rig="",
        calibration="",
        capture="",
        sequence=0,
        timestamp_ns=0,
        skeleton=model.skeleton,
        model={"name": model.name, "sha256": model.sha256},
        people=seen.people,
        single_view=seen.single_view,
        timings_ms=seen.timings_ms,
    )
    return {
        "frame": frame_to_json(frame),
        "sizes_px": dict(seen.sizes_px),
        "model": {"name": model.name, "sha256": model.sha256, "skeleton": model.skeleton},
    }


def _hint_to_json(hint: Hint) -> dict[str, Any]:
    """Positions to a tenth of a millimetre; null for a joint that was never seen."""
    return {
        "predicted": [
            {
                "id": one.id,
                "positions": [
                    np.round(row, 4).tolist() if known else None
                    for row, known in zip(
                        one.positions, np.isfinite(one.positions[:, 0]).tolist(), strict=True
                    )
                ],
                "sigma_m": [
                    round(float(value), 4) if np.isfinite(value) else None for value in one.sigma_m
                ],
            }
            for one in hint.predicted
        ],
        "regions": {
            name: [one.x, one.y, one.width, one.height] for name, one in hint.regions.items()
        },
    }


def _hint(values: Mapping[str, Any]) -> Hint:
    nowhere = [np.nan] * 3
    return Hint(
        tuple(
            Prediction(
                one["id"],
                np.array([row or nowhere for row in one["positions"]], dtype=np.float64),
                np.array(one["sigma_m"], dtype=np.float64),
            )
            for one in values["predicted"]
        ),
        {name: Region(*box) for name, box in values["regions"].items()},
    )


def _pictures(fields: Fields) -> dict[str, bytes]:
    return {
        name.removeprefix(_IMAGE).decode(): data
        for name, data in fields.items()
        if name.startswith(_IMAGE)
    }


@lru_cache(maxsize=_RIGS_IN_MEMORY)
def _rig(rig_yaml: bytes) -> Rig:
    return rig_from_yaml(rig_yaml)
