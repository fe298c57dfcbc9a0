"""Comparing an operation and its gradients with its reference in float64."""

import pytest
import torch

# Unit roundoff of each type times a few roundings: weights, output, and for gradients the
# score gradients as well. float32 covers three TF32 passes on a GPU.
TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}
# Type and whether causal; masks do not depend on the type, so not every pair is needed.
KINDS = [
    pytest.param(torch.float32, False, id="float32"),
    pytest.param(torch.float32, True, id="float32 causal"),
    pytest.param(torch.float16, True, id="float16 causal"),
    pytest.param(torch.bfloat16, False, id="bfloat16"),
]


def skip_bfloat16(device, dtype):
    if device == "cpu" and dtype == torch.bfloat16:
        pytest.skip("Triton's interpreter multiplies bfloat16 as integers")


def relative(found, expected, floor=0.0):
    """Norm of the error over the norm of what is expected."""
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    assert found.shape == expected.shape
    error, size = float((found - expected).norm()), float(expected.norm())
    return 0.0 if error == 0 else error / max(size, floor, 1e-300)


def assert_agrees(operation, reference, inputs, dtype, *, floor=0.1, tolerance=None):
    """Result and gradients of ``operation`` within tolerance of ``reference`` in float64.

    Args:
        operation: of the inputs as they are.
        reference: of the inputs in float64 on the CPU.
        inputs: tensors, gradients of all of them are compared.
        dtype: whose tolerance counts.
        floor: least norm that errors are put in relation to; a gradient of zero, of a softmax
            over one key for instance, comes out as rounding errors of numbers about 1.
        tolerance: instead of the type's.
    """
    tolerance = TOLERANCE[dtype] if tolerance is None else tolerance
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    exact = [tensor.detach().cpu().double().requires_grad_() for tensor in inputs]
    out, expected = operation(*inputs), reference(*exact)
    assert out.dtype == dtype
    assert relative(out, expected) <= tolerance, f"output off by {relative(out, expected):.1e}"
    torch.manual_seed(7)
    # Strides of zero along the last axis: a gradient need not be contiguous.
    direction = torch.randn((*out.shape[:-1], 1), dtype=torch.float64).to(dtype).expand(out.shape)
    found = torch.autograd.grad(out, inputs, direction.to(out.device))
    wanted = torch.autograd.grad(expected, exact, direction.double())
    for index, (gradient, truth) in enumerate(zip(found, wanted, strict=True)):
        error = relative(gradient, truth, floor)
        assert error <= tolerance, f"gradient of input {index} off by {error:.1e}"
