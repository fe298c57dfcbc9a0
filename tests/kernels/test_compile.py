"""Device code compiles to machine code and fits the card, checked where no card is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import HAS_TRITON

ROOT = Path(__file__).resolve().parents[2]
KERNELS = {
    "backward_kernel",
    "backward_keys_kernel",
    "backward_queries_kernel",
    "forward_kernel",
    "gather_kernel",
    "letterbox_kernel",
    "rowsum_kernel",
    "suppress_kernel",
}

needs_triton = pytest.mark.skipif(not HAS_TRITON, reason="torch and triton are not both installed")


def compiled_for(capability, *options, cache):
    """What the compiler says, in a process that has not asked for the interpreter."""
    env = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    env["TRITON_CACHE_DIR"] = str(cache)
    run = subprocess.run(
        [sys.executable, "-m", "tests.kernels.compile_for_gpu", str(capability), *options],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout.splitlines()[-1])


def assert_fits(kernels, limit):
    assert {name for name, _, _ in kernels} == KERNELS
    for name, shared, size in kernels:
        assert size > 0, name
        assert shared <= limit, f"{name} wants {shared} bytes of shared memory, there are {limit}"


@needs_triton
def test_compiles_for_h100(tmp_path):
    assert_fits(compiled_for(90, cache=tmp_path), 227 * 1024)


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize(("capability", "limit"), [(80, 163), (86, 99), (89, 99), (90, 227)])
def test_every_type_and_head_size_compiles(tmp_path, capability, limit):
    assert_fits(compiled_for(capability, "--all", cache=tmp_path), limit * 1024)
