"""Every network by its name: the shape of each as literal numbers.

The published ones are built as their authors published them, so that their weights load:
princeton-vl/pose-ae-train, princeton-vl/pytorch_stacked_hourglass and mmpose's HourglassAENet.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .blocks import ActivationName, BlockName

__all__ = [
    "FrontName",
    "HourglassConfig",
    "PixelsName",
    "mmpose_ae",
    "published_ae",
    "published_single",
    "quadglass_m",
    "quadglass_s",
    "small",
]

FrontName: TypeAlias = Literal[
    "paper", "paper-residual", "light", "movenet-lightning", "movenet-multipose"
]
PixelsName: TypeAlias = Literal["unit", "imagenet"]


@dataclass(frozen=True, slots=True)
class HourglassConfig:
    """The shape of a network; saved inside its checkpoint."""

    name: str
    front: FrontName
    stacks: int
    width: int  # channels at the hourglass's own resolution
    growth: int  # channels added a level down
    depth: int  # times the map is halved
    block: BlockName
    features: int  # blocks between an hourglass and its outputs
    activation: ActivationName = "relu"
    norm: bool = True
    attention: bool = False  # at the lowest resolution
    center_field: bool = False  # also predict each joint's way to its person's centre
    spare_outputs: int = 0  # channels the published network predicts and nobody reads
    checkpointing: bool = False  # recompute stem and stacks one by one in the backward pass
    joints: int = 17
    tags: bool = True  # without them: one person a picture
    closing: bool = False  # a normalised 1x1 convolution after the feature blocks
    merge_norm: bool = False  # normalise what one stack passes to the next
    pixels: PixelsName = "unit"  # 0 to 1, or ImageNet's mean and deviation taken out


def small(stacks: int = 1) -> HourglassConfig:
    """From scratch, 64 channels behind a light stem: for tests and small domains."""
    return HourglassConfig("small", "light", stacks, 64, 0, 3, "bottleneck", 1, attention=True)


def published_ae() -> HourglassConfig:
    """Associative embedding as published: 4 stacks, 256 + 128 a level, for 512 px.

    princeton-vl/pose-ae-train: 138.89 M parameters; of its 68 outputs 34 are read.
    """
    return HourglassConfig(
        "published-ae", "paper", 4, 256, 128, 4, "plain", 2, norm=False, spare_outputs=34
    )


def mmpose_ae() -> HourglassConfig:
    """HourglassAENet of mmpose: the same with normalisation, for 512 px (138.86 M)."""
    return HourglassConfig(
        "mmpose-ae", "paper", 4, 256, 128, 4, "plain", 2, merge_norm=True, pixels="imagenet"
    )


def published_single(stacks: int = 8) -> HourglassConfig:
    """princeton-vl/pytorch_stacked_hourglass: MPII's 16 joints of one person, for 256 px.

    Args:
        stacks: 8 or 2 were published.
    """
    return HourglassConfig(
        "published-single",
        "paper-residual",
        stacks,
        256,
        0,
        4,
        "preactivation",
        1,
        joints=16,
        tags=False,
        closing=True,
    )


def quadglass_s() -> HourglassConfig:
    """MultiPose's trunk and an hourglass of half the channels: live capture on two cores."""
    return _pretrained("quadglass-s", "movenet-multipose", 32)


def quadglass_m() -> HourglassConfig:
    """MultiPose's trunk and one hourglass: the default for pictures and files."""
    return _pretrained("quadglass-m", "movenet-multipose", 64)


def _pretrained(name: str, front: FrontName, width: int) -> HourglassConfig:
    return HourglassConfig(
        name, front, 1, width, 0, 3, "bottleneck", 1, attention=True, center_field=True
    )
