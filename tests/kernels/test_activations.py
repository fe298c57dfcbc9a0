import pytest

torch = pytest.importorskip("torch")

from kernels.activations import ACTIVATIONS, GATED, activate, gate, reference  # noqa: E402
from kernels.errors import BadOperand  # noqa: E402

from .agreement import TOLERANCE, assert_agrees, relative, skip_bfloat16  # noqa: E402

# Tiles are 32 rows x 64 channels.
SHAPES = {
    "one element": (1, 2),
    "one short of a block": (31, 126),
    "whole blocks": (32, 128),
    "one past a block": (3, 11, 130),
    "no rows": (0, 6),
}


def operands(shape, dtype, device, *, bias):
    torch.manual_seed(0)
    x = (2 * torch.randn(shape)).to(device, dtype)
    return [x, torch.randn(shape[-1]).to(device, dtype)] if bias else [x]


def by(function, kind, backend):
    return lambda x, bias=None: function(x, kind, bias, backend=backend)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("kind", [*ACTIVATIONS, *GATED])
def test_device_code_agrees(device, kind, shape):
    function = gate if kind in GATED else activate
    inputs = operands(shape, torch.float32, device, bias=True)
    operation, definition = by(function, kind, "triton"), by(function, kind, "reference")
    assert_agrees(operation, definition, inputs, torch.float32)


@pytest.mark.parametrize("kind", [*ACTIVATIONS, *GATED])
def test_without_a_bias(device, kind):
    function = gate if kind in GATED else activate
    inputs = operands((2, 10), torch.float32, device, bias=False)
    operation, definition = by(function, kind, "triton"), by(function, kind, "reference")
    assert_agrees(operation, definition, inputs, torch.float32)


@pytest.mark.parametrize("kind", [*ACTIVATIONS, *GATED])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision(device, kind, dtype):
    skip_bfloat16(device, dtype)
    function = gate if kind in GATED else activate
    inputs = operands((33, 66), dtype, device, bias=True)
    assert_agrees(by(function, kind, "triton"), by(function, kind, "reference"), inputs, dtype)


@pytest.mark.parametrize("kind", [*ACTIVATIONS, *GATED])
def test_library_path_agrees(kind):
    function = gate if kind in GATED else activate
    inputs = operands((7, 10), torch.float32, "cpu", bias=True)
    operation, definition = by(function, kind, "cpu"), by(function, kind, "reference")
    assert_agrees(operation, definition, inputs, torch.float32)


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_reference_gradients_are_derivatives(kind):
    torch.manual_seed(0)
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: reference(x, kind), (x,))


@pytest.mark.parametrize("kind", GATED)
def test_gated_gradients_are_derivatives(kind):
    torch.manual_seed(0)
    x = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, b: gate(x, kind, b, backend="reference"), (x, bias))


def test_values_by_hand():
    x = torch.tensor([-4.0, -1.5, 0.0, 1.0, 5.0])
    assert activate(x, "hard_swish").tolist() == pytest.approx([0, -0.375, 0, 2 / 3, 5])
    assert activate(x, "relu2").tolist() == [0, 0, 0, 1, 25]
    assert float(activate(x, "silu")[3]) == pytest.approx(0.731059, abs=1e-6)
    assert float(activate(x, "gelu")[3]) == pytest.approx(0.841345, abs=1e-6)
    pair = torch.tensor([1.0, 10.0])
    assert float(gate(pair, "swiglu")) == pytest.approx(7.31059, abs=1e-5)


# exp overflows on the way to a sigmoid of 0, in numpy with a warning.
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_far_out_and_not_a_number(device, kind):
    x = torch.tensor([[-1e4, -100.0, 100.0, 1e4, torch.nan]], device=device)
    x.requires_grad_()
    out = activate(x, kind, backend="triton")
    (slope,) = torch.autograd.grad(out.sum(), x)
    for found in (out[0].tolist(), slope[0].tolist()):
        assert found[0] == pytest.approx(0, abs=1e-30)
        assert found[4] != found[4]
    size = (100.0**2, 1e4**2) if kind == "relu2" else (100.0, 1e4)
    assert out[0, 2:4].tolist() == pytest.approx(size)


def test_strides_of_any_kind(device):
    """Half of the channels of a wider tensor, and channels that are not innermost."""
    torch.manual_seed(0)
    wide = torch.randn(5, 3, 140, device=device)[..., :70]
    turned = torch.randn(70, 15, device=device).T
    for x in (wide, turned):
        assert_agrees(
            by(activate, "silu", "triton"), by(activate, "silu", "reference"), [x], torch.float32
        )


def test_compiles_without_a_break(device):
    x, bias = operands((4, 10), torch.float32, device, bias=True)
    operation = by(gate, "swiglu", "triton")
    compiled = torch.compile(operation, fullgraph=True, backend="aot_eager")
    assert relative(compiled(x, bias), operation(x, bias)) < TOLERANCE[torch.float32]


def test_operator_contract(device):
    from kernels.activations_triton import _forward

    x, bias = operands((4, 10), torch.float32, device, bias=True)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    x.requires_grad_()
    torch.library.opcheck(_forward, (x, bias, "gelu", True), test_utils=tests)


def test_what_does_not_belong_together():
    x = torch.zeros(2, 3)
    with pytest.raises(BadOperand, match="choose one of silu"):
        activate(x, "swish")
    with pytest.raises(BadOperand, match="choose one of swiglu"):
        gate(x, "reglu")
    with pytest.raises(BadOperand, match="do not split"):
        gate(x, "swiglu")
    with pytest.raises(BadOperand, match="for each channel"):
        activate(x, "silu", torch.zeros(2))
