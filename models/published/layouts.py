"""What three other repositories call the weights of a network that we can build.

A layout is a table from each of our names to theirs, so every key of a file is either in the
table, listed as one that nothing reads, or unknown.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..architectures import HourglassConfig, mmpose_ae, published_ae, published_single
from ..errors import CheckpointMismatch
from ..hourglass import StackedHourglass

__all__ = ["LAYOUTS", "Layout", "Names", "fitted", "names_of"]

# (pattern in our name, what they write), tried in this order, each wherever it fits.
_Rules = tuple[tuple[str, str], ...]

_HOURGLASS: _Rules = (
    (r"\.lower\.0\.", ".low2."),
    (r"\.lower(?=\.)", ".low2"),
    (r"\.enter\.", ".low1."),
    (r"\.leave\.", ".low3."),
    (r"\.up\.", ".up1."),
)
_PRINCETON_MERGES: _Rules = (
    (r"^merge_outputs\.(\d+)\.", r"merge_preds.\1.conv.conv."),
    (r"^merge_features\.(\d+)\.", r"merge_features.\1.conv.conv."),
    (r"^stem\.", "pre."),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """One repository's way to name the weights."""

    name: str
    source: str
    mark: str  # their key of a weight that no other layout has
    enter: str  # of the last convolution on the way down from the first level
    output: str  # of the first stack's outputs
    rules: _Rules
    build: Callable[[], HourglassConfig]


@dataclass(frozen=True, slots=True)
class Names:
    """The keys of one network in one layout, without the file's prefix."""

    theirs: Mapping[str, str]  # by our name
    unread: frozenset[str]  # stored by their code and used by nobody


_RESIDUAL = ".conv1.conv.weight"

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        name="princeton-ae",
        source="princeton-vl/pose-ae-train",
        mark="features.0.0.up1.conv.weight",
        enter="features.0.0.low1.conv.weight",
        output="outs.0.conv.weight",
        rules=(
            (r"^stacks\.(\d+)\.hourglass", r"features.\1.0"),
            (r"^stacks\.(\d+)\.features\.0\.", r"features.\1.1."),
            (r"^stacks\.(\d+)\.features\.1\.", r"features.\1.2."),
            (r"^stacks\.(\d+)\.outputs\.", r"outs.\1.conv."),
            *_PRINCETON_MERGES,
            *_HOURGLASS,
        ),
        build=published_ae,
    ),
    Layout(
        name="princeton-single",
        source="princeton-vl/pytorch_stacked_hourglass",
        mark="hgs.0.0.up1.conv1.conv.weight",
        enter="hgs.0.0.low1.conv3.conv.weight",
        output="outs.0.conv.weight",
        rules=(
            (r"^stacks\.(\d+)\.hourglass", r"hgs.\1.0"),
            (r"^stacks\.(\d+)\.features\.", r"features.\1."),
            (r"^stacks\.(\d+)\.outputs\.", r"outs.\1.conv."),
            *_PRINCETON_MERGES,
            *_HOURGLASS,
            (r"\.norm([123])\.", r".bn\1."),
            (r"\.norm\.", ".bn."),
            (r"\.reduce\.", ".conv1.conv."),
            (r"\.mix\.", ".conv2.conv."),
            (r"\.expand\.", ".conv3.conv."),
            (r"\.skip\.", ".skip_layer.conv."),
        ),
        build=published_single,
    ),
    Layout(
        name="mmpose-ae",
        source="open-mmlab/mmpose, HourglassAENet",
        mark="hourglass_modules.0.0.up1.conv.weight",
        enter="hourglass_modules.0.0.low1.conv.weight",
        output="out_convs.0.conv.weight",
        rules=(
            (r"^stacks\.(\d+)\.hourglass", r"hourglass_modules.\1.0"),
            (r"^stacks\.(\d+)\.features\.0\.", r"hourglass_modules.\1.1."),
            (r"^stacks\.(\d+)\.features\.1\.", r"hourglass_modules.\1.2."),
            (r"^stacks\.(\d+)\.outputs\.", r"out_convs.\1.conv."),
            (r"^merge_outputs\.", "remap_out_convs."),
            (r"^merge_features\.", "remap_feature_convs."),
            *_HOURGLASS,
            (r"\.norm\.", ".bn."),
        ),
        build=mmpose_ae,
    ),
)


def names_of(layout: Layout, config: HourglassConfig) -> Names:
    """Every key that a file in this layout has for this network."""
    with torch.device("meta"):
        ours = StackedHourglass(config).state_dict()
    theirs = {name: _translate(name, layout.rules) for name in ours}
    known = frozenset(theirs.values())
    assert len(known) == len(theirs), "two of our weights share a name of theirs"
    # Each of their residual blocks makes a skip layer; where the width stays nobody calls it.
    residual = {key.removesuffix(_RESIDUAL) for key in known if key.endswith(_RESIDUAL)}
    skips = {f"{name}.skip_layer.conv.{part}" for name in residual for part in ("weight", "bias")}
    return Names(theirs, frozenset(skips) - known)


def fitted(layout: Layout, stored: Mapping[str, Tensor]) -> HourglassConfig:
    """The layout's network with the stacks, widths and outputs that a file has.

    Args:
        layout: the file's.
        stored: its weights by their names, without prefix.

    Raises:
        CheckpointMismatch: sizes that no network of this layout has.
    """
    missing = [key for key in (layout.enter, layout.output) if key not in stored]
    if missing:
        raise CheckpointMismatch(f"no {' and no '.join(missing)}, which {layout.source} has")
    config = layout.build()
    outputs, width = stored[layout.output].shape[:2]
    stacks = {key.split(".")[1] for key in stored if key.startswith(_first(layout.output))}
    return replace(
        config,
        stacks=len(stacks),
        width=width,
        growth=stored[layout.enter].shape[0] - width,
        depth=max(key.count("low2.") for key in stored),
        joints=config.joints if config.tags else outputs,
        spare_outputs=_spare(config, outputs),
    )


def _first(key: str) -> str:
    return key.partition(".")[0] + "."


def _spare(config: HourglassConfig, outputs: int) -> int:
    """How many of the outputs nobody reads.

    Raises:
        CheckpointMismatch: not as many as the network has.
    """
    if not config.tags:
        return 0
    spare = outputs - 2 * config.joints
    if spare < 0 or (spare and not config.spare_outputs):
        raise CheckpointMismatch(
            f"{outputs} outputs a stack, need {2 * config.joints + config.spare_outputs}: heatmaps "
            f"and tags of COCO's {config.joints} joints"
        )
    return spare


def _translate(name: str, rules: _Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
