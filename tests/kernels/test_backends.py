"""Which implementation runs, and what importing costs."""

import importlib
import logging
import os
import subprocess
import sys

import numpy as np
import pytest

import kernels
from kernels import backends, compiled
from kernels.errors import BackendMissing, BadOperand, KernelError
from kernels.warmup import warm_up

from .conftest import HAS_TORCH

needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")


def run(code, **env):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env or None
    )
    return done.stdout.strip()


def test_public_names():
    assert kernels.__all__ == ["attention", "backend", "varlen_attention"]
    assert all(issubclass(error, KernelError) for error in (BackendMissing, BadOperand))


@needs_torch
def test_functions_stay_functions_whatever_is_imported_first():
    """The file attention.py must not take the place of the function of its name."""
    module = importlib.import_module("kernels.attention")
    assert kernels.attention is module.attention
    assert kernels.varlen_attention is importlib.import_module("kernels.varlen").varlen_attention
    code = "import kernels.attention, kernels; print(kernels.attention.__qualname__)"
    assert run(code) == "attention"


def test_importing_is_cheap():
    code = (
        "import sys, kernels; print([n for n in ('torch', 'triton', 'numba') if n in sys.modules])"
    )
    assert run(code) == "[]"


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'atention'"):
        kernels.atention  # noqa: B018


@needs_torch
def test_backend_says_what_auto_means():
    import torch

    assert kernels.backend() == ("triton" if torch.cuda.is_available() else "cpu")
    assert backends.choose("auto", torch.zeros(1)) == "cpu"


@needs_torch
def test_triton_refuses_the_cpu(monkeypatch):
    import torch

    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(BackendMissing, match="needs CUDA tensors, got one on cpu"):
        backends.choose("triton", torch.zeros(1))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendMissing, match="not installed"):
        backends.choose("triton", torch.zeros(1))


def test_without_numba_the_definitions_run(monkeypatch):
    from kernels.peaks import PeakRules, find_peaks, reference

    monkeypatch.setattr("kernels.peaks.compiled", lambda: False)
    heat = np.random.default_rng(0).random((1, 2, 9, 9), dtype=np.float32)
    found, wanted = (
        find_peaks(heat, heat[:, :, None]),
        reference(heat, heat[:, :, None], PeakRules()),
    )
    np.testing.assert_array_equal(found.cells, wanted.cells)


def test_switch_by_environment(monkeypatch):
    compiled.compiled.cache_clear()
    monkeypatch.setenv("KERNELS_NUMBA", "0")
    assert not compiled.compiled()
    assert warm_up.__globals__["compiled"]() is False
    compiled.compiled.cache_clear()


@pytest.mark.skipif(not compiled.compiled(), reason="numba is not installed")
def test_warm_up_leaves_little_to_do():
    assert warm_up() >= 0
    # Twice warm is a few calls of microseconds, with room for a machine that is busy.
    assert warm_up() < 0.5


@pytest.mark.skipif(not compiled.compiled(), reason="numba is not installed")
def test_compiles_where_nothing_can_be_kept(monkeypatch, caplog):
    import numba

    real = numba.njit

    def no_cache(*args, cache=False, **kwargs):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*args, **kwargs)

    monkeypatch.setattr(numba, "njit", no_cache)
    with caplog.at_level(logging.WARNING, logger="kernels.compiled"):
        double = compiled.jit(lambda x: 2 * x)
    assert double(4) == 8
    assert "anew at each start" in caplog.text


def test_what_was_compiled_is_brought_along(tmp_path):
    """Read-only code keeps its compiled part beside it; numba looks in the user's folder."""
    beside, kept = tmp_path / "code" / "__pycache__", tmp_path / "kept"
    beside.mkdir(parents=True)
    kept.mkdir()
    for name in ("loop.scan-1.py311.nbi", "loop.scan-1.py311.1.nbc", "other.f-2.py311.nbi"):
        (beside / name).write_text("built")
    source = tmp_path / "code" / "loop.py"
    compiled._bring_along.__wrapped__(source, kept)
    assert sorted(p.name for p in kept.iterdir()) == [
        "loop.scan-1.py311.1.nbc",
        "loop.scan-1.py311.nbi",
    ]
    # Compiled anew for this processor after that: stays. A newer build: replaces.
    index = kept / "loop.scan-1.py311.nbi"
    index.write_text("compiled here")
    compiled._bring_along.__wrapped__(source, kept)
    assert index.read_text() == "compiled here"
    os.utime(beside / index.name, (index.stat().st_mtime + 9,) * 2)
    compiled._bring_along.__wrapped__(source, kept)
    assert index.read_text() == "built"


def test_what_cannot_be_brought_along_is_compiled_instead(tmp_path, caplog):
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "loop.f-1.py311.nbi").write_text("built")
    with caplog.at_level(logging.WARNING, logger="kernels.compiled"):
        compiled._bring_along.__wrapped__(tmp_path / "loop.py", tmp_path / "missing")
    assert "stays behind" in caplog.text
