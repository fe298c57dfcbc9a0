"""Peers that need an environment of their own, run there as a script with files in between."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np


class PeerFailed(Exception):
    """A peer found no answer; with the end of what it said."""


def why_missing(python: str, module: str) -> str | None:
    """None if that interpreter has the module, else what it says."""
    try:
        out = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    except OSError as error:
        return f"{python}: {error.strerror}"
    said = out.stderr.decode(errors="replace").strip().splitlines()
    return None if out.returncode == 0 else f"{python}: {said[-1] if said else 'no ' + module}"


def solve(python: str, script: str, problem: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a peer makes of a problem, in the interpreter that has it.

    Args:
        python: the interpreter.
        script: the peer's file in this folder.
        problem: `intrinsics` (C, 9), `poses` (C, 6) rvec and tvec of `cam_from_reference`, `boards`
            (B, 6) of `reference_from_board`, `pixels` (V, rows, columns, 2), `indices` (V, 2) board
            and camera, sorted; `size_px` (2,), `square_m` () and `reject` () zero or one.

    Returns:
        `intrinsics`, `poses`, `rms_px` () and `seconds` () of its own part.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, **problem)  # type: ignore[arg-type]
        command = [python, str(Path(__file__).with_name(script)), str(given), str(found)]
        out = subprocess.run(command, check=False, capture_output=True)
        if out.returncode != 0:
            raise PeerFailed(out.stderr.decode(errors="replace")[-500:])
        with np.load(found) as content:
            return dict(content)
