"""The benchmark's GPU part runs through, in the interpreter and at sizes that mean nothing."""

import os

import pytest

torch = pytest.importorskip("torch")

from .conftest import require  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def interpreted():
    require("cpu")
    assert os.environ["TRITON_INTERPRET"] == "1"


def who(figures):
    return {figure.who: figure for figure in figures if figure.ms is not None}


def test_attention_and_packs():
    from benchmarks.kernels_gpu import show, targets
    from benchmarks.kernels_gpu_attention import dense, ragged
    from benchmarks.kernels_gpu_timing import ceilings

    figures = list(ceilings("cpu", 32, 1))
    figures += dense("cpu", [(1, 1, 20, 16)], torch.float32, 1)
    found = who(figures)
    assert {"ours", "sdpa math", "sdpa flash", "unfused"} <= set(found)
    assert found["ours"].tflops > 0
    packs = list(ragged("cpu", 6, 12, torch.float32, 1, heads=1))
    assert len({figure.case for figure in packs}) >= 4
    assert {"ours", "padded sdpa"} == set(who(packs))  # PyTorch's packed attention needs a GPU
    judged = list(targets(packs))
    assert {figure.what for figure in judged} == {"target"}
    assert all(figure.note.endswith((": met", ": MISSED")) for figure in judged)
    show(figures + packs + judged)


def test_decode_and_end_to_end():
    from benchmarks.kernels_gpu import targets
    from benchmarks.kernels_gpu_pictures import decode, whole
    from models.hourglass import StackedHourglass, small

    assert {"ours", "torch"} == set(who(decode("cpu", 16, 1, views=1)))
    figures = list(whole("cpu", 32, StackedHourglass(small()), 1, views=1))
    served = "pictures to peaks, served"
    assert {"bytes to peaks", "network alone", served} == set(who(figures))
    assert "%" in figures[-1].note
    assert [figure.who for figure in targets(figures)] == ["end to end"]
