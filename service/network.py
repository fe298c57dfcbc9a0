"""The network that the settings name, loaded when a worker starts."""

from __future__ import annotations

from importlib.util import find_spec

from models.predictor import OnnxPredictor, Predictor
from models.weights import default_weights

from .config import ModelSettings
from .errors import BadSettings

__all__ = ["load_predictor"]


def load_predictor(settings: ModelSettings, input_side: int | None = None) -> Predictor:
    """A predictor of its own for each worker.

    Args:
        settings: which network, run by what.
        input_side: px, a multiple of 32; None takes what the weights were made for.

    Raises:
        ModelError: the weights are missing or damaged.
        BadSettings: the torch backend is asked for and PyTorch is not installed.
    """
    weights = settings.weights or default_weights(settings.name)
    if settings.backend == "torch":
        if find_spec("torch") is None:
            raise BadSettings(
                "model.backend is torch and PyTorch is not installed; install the extra 'gpu', or "
                "take model.backend: onnx",
                field="/model/backend",
            )
        from models.runtime_torch import TorchPredictor  # PyTorch is imported only here

        return TorchPredictor(weights, threads=settings.threads, input_side=input_side)
    return OnnxPredictor(
        weights, threads=settings.threads, providers=settings.providers, input_side=input_side
    )
