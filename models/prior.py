"""How plausible a body's pose is: an exact log-density over what is seen of it, without PyTorch.

The density is a normalizing flow (`prior_flow`) over bones (`prior_coordinates`) of joints in their
own frame (`prior_frame`); the ONNX file holds it together with its gradient.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .errors import WeightsDamaged, WeightsMissing
from .prior_frame import frame_of, to_frame
from .weights import default_weights

__all__ = ["PRIOR_FORMAT", "PosePrior", "open_motion_model", "packaged_prior"]

F64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]

PRIOR_FORMAT = "quadglass-prior/1"
JOINTS = 17
MIN_JOINTS = 6  # of a body that can be judged; fewer fit anything


class PosePrior:
    """Holds an ONNX Runtime session on the prior.

    Args:
        path: of the ONNX file; None takes the packaged one.
        threads: of the session.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: it cannot be read, or is no prior of ours.
    """

    def __init__(self, path: Path | None = None, threads: int = 1) -> None:
        self._session, told = open_motion_model(
            path or default_weights("prior"), PRIOR_FORMAT, threads
        )
        # Nats per seen coordinate of validation poses at each percentile, by how much is seen.
        self._percentiles = np.array(told["percentiles"])  # (bins, 101)
        self._least_seen = np.array(told["least_seen"])  # (bins,) ascending
        self._joint_limits = np.array(told["joint_limits"])  # (17,) nats of a joint given the rest
        self.dither_m = float(told["dither_m"])

    def log_likelihood(self, joints: F64) -> F64:
        """Nats of the seen joints of each body in its frame (see `prior_frame`).

        Args:
            joints: (P, 17, 3) metres, z up, NaN where unseen.

        Returns:
            (P,) NaN for bodies of fewer than `MIN_JOINTS` joints.
        """
        seen = _seen(joints)
        if len(joints) == 0:
            return np.zeros(0)
        value = self.value(to_frame(frame_of(joints, seen), joints), seen)
        return np.where(seen.sum(axis=1) >= MIN_JOINTS, value, np.nan)

    def plausibility(self, joints: F64) -> F64:
        """Share of real poses, seen to the same extent, that are less likely than each body.

        Args:
            joints: (P, 17, 3) metres, z up, NaN where unseen.

        Returns:
            (P,) in [0, 1], NaN for bodies of fewer than `MIN_JOINTS` joints.
        """
        count = _seen(joints).sum(axis=1)
        rate = self.log_likelihood(joints) / np.maximum(3 * count, 1)
        row = np.searchsorted(self._least_seen, count, side="right") - 1
        shares = np.linspace(0, 1, self._percentiles.shape[1])
        told = [np.interp(r, self._percentiles[k], shares) for r, k in zip(rate, row, strict=True)]
        return np.where(np.isfinite(rate), np.array(told).reshape(-1), np.nan)

    def unlikely_joints(self, joints: F64) -> Bool:
        """Joints less likely, given the others, than one in a thousand of real ones.

        Args:
            joints: (P, 17, 3) metres, z up, NaN where unseen.

        Returns:
            (P, 17)
        """
        return self.joint_log_likelihood(joints) < self._joint_limits

    def joint_log_likelihood(self, joints: F64) -> F64:
        """(P, 17) nats of each joint given the others; NaN where unseen or too little else is."""
        people = len(joints)
        seen = _seen(joints)
        # The frame without the joint, so that a wrong hip does not move all the others.
        without = np.repeat(seen[:, None], JOINTS, axis=1) & ~np.eye(JOINTS, dtype=np.bool_)
        rows = without.reshape(-1, JOINTS)
        repeated = np.repeat(joints, JOINTS, axis=0)
        poses = to_frame(frame_of(repeated, rows), repeated)
        every = np.repeat(seen, JOINTS, axis=0)
        value = self.value(np.concatenate([poses, poses]), np.concatenate([every, rows]))
        told = (value[: len(rows)] - value[len(rows) :]).reshape(people, JOINTS)
        return np.where(seen & (without.sum(axis=2) >= MIN_JOINTS), told, np.nan)

    def value_and_gradient(self, poses: F64, seen: Bool) -> tuple[F64, F64]:
        """The log-density in the bodies' frames and its derivative by the coordinates.

        Args:
            poses: (P, 17, 3) joints in their frames; what is unseen may be NaN.
            seen: (P, 17)

        Returns:
            (P,) nats and (P, 17, 3) nats per metre in the frame, zero where unseen.
        """
        value, gradient = self._session.run(None, self._inputs(poses, seen, gradient=True))
        return value[:, 0].astype(np.float64), gradient.astype(np.float64).reshape(poses.shape)

    def value(self, poses: F64, seen: Bool) -> F64:
        """The log-density alone (P,), in half the time."""
        told = self._session.run(("log_likelihood",), self._inputs(poses, seen, gradient=False))
        return np.asarray(told[0][:, 0], dtype=np.float64)

    @staticmethod
    def _inputs(poses: F64, seen: Bool, *, gradient: bool) -> dict[str, NDArray[Any]]:
        flat = np.where(seen[..., None], poses, 0.0).astype(np.float32).reshape(len(poses), -1)
        return {
            "poses": flat,
            "seen": seen.astype(np.float32),
            "with_gradient": np.array(gradient),
        }


def _seen(joints: F64) -> Bool:
    """Whether each joint has a place (P, 17)."""
    return np.asarray(np.isfinite(joints).all(axis=2), dtype=np.bool_)


def open_motion_model(
    path: Path, expected: str, threads: int
) -> tuple[onnxruntime.InferenceSession, dict[str, Any]]:
    """A session on one of the motion models, and what the file says of itself.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: it cannot be read, or is of another kind.
    """
    if not path.is_file():
        raise WeightsMissing(f"no weights at {path}; check the path in the settings")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    # ONNX Runtime raises a family of classes of its own for a bad file, none of them exported.
    except Exception as error:
        raise WeightsDamaged(
            f"{path} is not a readable ONNX file ({type(error).__name__}); export it again"
        ) from error
    told = session.get_modelmeta().custom_metadata_map
    if told.get("format") != expected:
        raise WeightsDamaged(
            f"{path} says it is {told.get('format')!r}, need {expected!r}; "
            "give the file that `python -m models.training.motion_card` wrote"
        )
    return session, dict(json.loads(told["figures"]))


@cache
def packaged_prior() -> PosePrior | None:
    """The packaged prior, opened once; None if no weights are packaged."""
    try:
        return PosePrior()
    except WeightsMissing:
        return None
