"""What can go wrong in ``models``.

    ModelError
    ├── BadImage              an image the network cannot look at
    ├── WeightsMissing        no weights under that name or path
    ├── WeightsDamaged        the file is not the one that was packaged, or not ours
    ├── CheckpointMismatch    a checkpoint that belongs to another network
    └── BadTrainingData       a data set without the files or labels it must have

Every message says what was wrong and what to do.
"""

__all__ = [
    "BadImage",
    "BadTrainingData",
    "CheckpointMismatch",
    "ModelError",
    "WeightsDamaged",
    "WeightsMissing",
]


class ModelError(Exception):
    """Something in ``models`` that the caller can act on."""


class BadImage(ModelError, ValueError):
    """An image of the wrong type, shape or size."""


class WeightsMissing(ModelError, FileNotFoundError):
    """No weights under that name or path."""


class WeightsDamaged(ModelError, ValueError):
    """A weights file whose content is not what it should be."""


class CheckpointMismatch(ModelError, ValueError):
    """A checkpoint whose keys or shapes do not fit the network."""


class BadTrainingData(ModelError, ValueError):
    """A data set that cannot be read or holds nothing to learn from."""
