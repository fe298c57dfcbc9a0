"""From the picture to features at a quarter of its size. Needs PyTorch."""

from torch import nn

from .architectures import HourglassConfig
from .blocks import Conv, block

__all__ = ["stem"]


def stem(config: HourglassConfig) -> nn.Module:
    """The layers before the first hourglass of a network without a trunk."""
    if config.front == "paper":
        return _paper(config)
    return _paper_residual(config) if config.front == "paper-residual" else _light(config)


def _paper(config: HourglassConfig) -> nn.Module:
    """Associative embedding's way; costs more than a whole small network."""
    act, norm, width = config.activation, config.norm, config.width
    return nn.Sequential(
        Conv(3, 64, 7, act, norm=norm, stride=2),
        Conv(64, 128, 3, act, norm=norm),
        nn.MaxPool2d(2),
        Conv(128, 128, 3, act, norm=norm),
        Conv(128, width, 3, act, norm=norm),
    )


def _paper_residual(config: HourglassConfig) -> nn.Module:
    """The single-person network's way: the same with residual blocks after the first layer."""
    act, norm, width = config.activation, config.norm, config.width
    return nn.Sequential(
        Conv(3, 64, 7, act, norm=norm, stride=2, bias=True),
        block(config.block, 64, 128, act, norm=norm),
        nn.MaxPool2d(2),
        block(config.block, 128, 128, act, norm=norm),
        block(config.block, 128, width, act, norm=norm),
    )


def _light(config: HourglassConfig) -> nn.Module:
    act, norm, width = config.activation, config.norm, config.width
    return nn.Sequential(
        Conv(3, width // 2, 3, act, norm=norm, stride=2),
        Conv(width // 2, width, 3, act, norm=norm, stride=2),
        block(config.block, width, width, act, norm=norm),
    )
