"""Runs Triton's device code in its interpreter where there is no GPU to compile it for."""

import importlib.util
import os

import pytest

# Must be decided before anything imports Triton, and PyTorch does not by itself.
HAS_TORCH = importlib.util.find_spec("torch") is not None
HAS_TRITON = HAS_TORCH and importlib.util.find_spec("triton") is not None
if HAS_TORCH:
    import torch

    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"


def require(device):
    """Skip where device code cannot run on ``device`` in this process."""
    if not HAS_TRITON:
        pytest.skip("torch and triton are not both installed")
    if device == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("this machine has a GPU: the same test runs compiled with -m gpu")
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU on this machine")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Where the device code runs: in the interpreter, or compiled under the mark ``gpu``."""
    require(request.param)
    return request.param


@pytest.fixture(autouse=True)
def one_thread():
    """Timings and memory do not depend on the machine's cores, and other jobs are left alone."""
    if not HAS_TORCH:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
