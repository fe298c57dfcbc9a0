"""Parquet, one row per joint of a person in a frame: the CSV's table with types and full precision.

World axes (z up), metres. Missing is null, and `source` says why. What the columns are measured in
is in the file's metadata, key `quadglass`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np

from ..people import F64, Frame
from ..result import SKELETONS

__all__ = ["parquet_bytes"]


def parquet_bytes(frames: Sequence[Frame], rate_hz: float) -> bytes:
    """The take as a Parquet file; time counts from the first frame.

    Args:
        frames: in order of time.
        rate_hz: of the take, for the metadata.
    """
    # A fifth of a second and 60 MB, which only who writes Parquet should pay.
    import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
    from pyarrow import parquet  # type: ignore[import-untyped, unused-ignore]

    people = [(frame, person) for frame in frames for person in frame.people]
    joints = [len(SKELETONS[frame.skeleton].joints) for frame, _ in people]

    def each(values: list[int], kind: pa.DataType) -> pa.Array:
        """One value of each person, for all of that person's joints."""
        return pa.array(np.repeat(np.array(values, dtype=np.int64), joints), kind)

    def column(parts: list[F64], kind: pa.DataType) -> pa.Array:
        """One value of each joint; NaN becomes null."""
        values = np.concatenate([np.zeros(0), *parts])
        return pa.array(values, kind, mask=~np.isfinite(values))

    def words(parts: list[Sequence[str]]) -> pa.Array:
        """One word of each joint, kept once each."""
        flat = pa.array([word for part in parts for word in part], pa.string())
        return flat.dictionary_encode()

    start = frames[0].timestamp_ns if frames else 0
    stamps = [frame.timestamp_ns for frame, _ in people]
    time_s = np.repeat((np.array(stamps, dtype=np.int64) - start) * 1e-9, joints)
    table = pa.table(
        {
            "sequence": each([frame.sequence for frame, _ in people], pa.int64()),
            "timestamp_ns": each(stamps, pa.int64()),
            "time_s": pa.array(time_s, pa.float64()),
            "person": each([person.id for _, person in people], pa.int32()),
            "joint": words([SKELETONS[frame.skeleton].joints for frame, _ in people]),
            **{
                f"{axis}_m": column([person.positions[:, k] for _, person in people], pa.float64())
                for k, axis in enumerate("xyz")
            },
            "sigma_mm": column([person.sigma_mm for _, person in people], pa.float32()),
            "score": column([person.scores for _, person in people], pa.float32()),
            "views": pa.array(
                np.concatenate([np.zeros(0), *(person.views for _, person in people)]).astype(
                    np.int16
                )
            ),
            "reprojection_px": column(
                [person.reprojection_px for _, person in people], pa.float32()
            ),
            "source": words([person.sources for _, person in people]),
        }
    )
    about = {"axes": "world, z up", "units": "m", "rate_hz": rate_hz, "missing": "null"}
    table = table.replace_schema_metadata({"quadglass": json.dumps(about)})
    out = io.BytesIO()
    parquet.write_table(table, out, compression="zstd")
    return out.getvalue()
