"""The network that the settings name, loaded when a worker starts."""

from __future__ import annotations

from models.predictor import OnnxPredictor, Predictor
from models.weights import default_weights

from .config import ModelSettings

__all__ = ["load_predictor"]


def load_predictor(settings: ModelSettings) -> Predictor:
    """A predictor of its own for each worker.

    Raises:
        ModelError: the weights are missing or damaged.
    """
    weights = settings.weights or default_weights(settings.name)
    return OnnxPredictor(weights, threads=settings.threads, providers=settings.providers)
