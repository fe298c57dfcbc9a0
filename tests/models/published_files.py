"""Files as three other repositories write them, and what their networks say, from the keys alone.

Written from the description of those formats, not from our code: a second opinion on every name,
every order of layers and every number that has no key.
"""

import torch
from torch.nn import functional

STEM = {"0": (3, 64, 7), "1": (64, 128, 3), "3": (128, 128, 3), "4": (128, None, 3)}


class Writer:
    """Holds state: the tensors made so far, of seeded noise that keeps activations near one."""

    def __init__(self, seed=0):
        self.generator = torch.Generator().manual_seed(seed)
        self.tensors = {}

    def conv(self, name, inputs, outputs, kernel, *, bias=True, gain=1.3):
        fan = inputs * kernel * kernel
        noise = torch.randn(outputs, inputs, kernel, kernel, generator=self.generator)
        self.tensors[f"{name}.weight"] = noise * gain / fan**0.5
        if bias:
            self.tensors[f"{name}.bias"] = torch.randn(outputs, generator=self.generator) * 0.1

    def norm(self, name, channels):
        for part, low, high in (
            ("weight", 0.5, 1.5),
            ("bias", -0.3, 0.3),
            ("running_mean", -0.3, 0.3),
            ("running_var", 0.5, 2.0),
        ):
            spread = torch.rand(channels, generator=self.generator) * (high - low) + low
            self.tensors[f"{name}.{part}"] = spread
        self.tensors[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def residual(self, name, inputs, outputs):
        middle = outputs // 2
        for index, (here, there, kernel) in enumerate(
            ((inputs, middle, 1), (middle, middle, 3), (middle, outputs, 1)), 1
        ):
            self.norm(f"{name}.bn{index}", here)
            self.conv(f"{name}.conv{index}.conv", here, there, kernel, gain=0.7)
        self.conv(f"{name}.skip_layer.conv", inputs, outputs, 1)  # stored even if never called


def plain_file(layout, *, stacks=2, width=8, growth=4, depth=2):
    """The tensors of princeton pose-ae ("princeton") or mmpose's HourglassAENet ("mmpose")."""
    write, mm = Writer(), layout == "mmpose"
    stem, outputs = ("stem", 34) if mm else ("pre", 68)

    def unit(name, inputs, outputs, kernel):
        write.conv(f"{name}.conv", inputs, outputs, kernel, bias=not mm)
        if mm:
            write.norm(f"{name}.bn", outputs)

    def hourglass(name, level):
        here, below = width + growth * level, width + growth * (level + 1)
        unit(f"{name}.up1", here, here, 3)
        unit(f"{name}.low1", here, below, 3)
        if level + 1 < depth:
            hourglass(f"{name}.low2", level + 1)
        else:
            unit(f"{name}.low2", below, below, 3)
        unit(f"{name}.low3", below, here, 3)

    for index, (inputs, outs, kernel) in STEM.items():
        unit(f"{stem}.{index}", inputs, outs or width, kernel)
    for s in range(stacks):
        part = f"hourglass_modules.{s}" if mm else f"features.{s}"
        hourglass(f"{part}.0", 0)
        unit(f"{part}.1", width, width, 3)
        unit(f"{part}.2", width, width, 3)
        write.conv(f"out_convs.{s}.conv" if mm else f"outs.{s}.conv", width, outputs, 1)
        if s + 1 < stacks and mm:
            unit(f"remap_out_convs.{s}", outputs, width, 1)
            unit(f"remap_feature_convs.{s}", width, width, 1)
        elif s + 1 < stacks:
            write.conv(f"merge_preds.{s}.conv.conv", outputs, width, 1, gain=0.3)
            write.conv(f"merge_features.{s}.conv.conv", width, width, 1, gain=0.3)
    return write.tensors


def single_file(*, stacks=2, width=8, depth=2):
    """The tensors of princeton's single-person network."""
    write = Writer()
    write.conv("pre.0.conv", 3, 64, 7)
    write.norm("pre.0.bn", 64)
    for index, (inputs, outs) in {"1": (64, 128), "3": (128, 128), "4": (128, width)}.items():
        write.residual(f"pre.{index}", inputs, outs)

    def hourglass(name, level):
        for part in ("up1", "low1"):
            write.residual(f"{name}.{part}", width, width)
        if level + 1 < depth:
            hourglass(f"{name}.low2", level + 1)
        else:
            write.residual(f"{name}.low2", width, width)
        write.residual(f"{name}.low3", width, width)

    for s in range(stacks):
        hourglass(f"hgs.{s}.0", 0)
        write.residual(f"features.{s}.0", width, width)
        write.conv(f"features.{s}.1.conv", width, width, 1)
        write.norm(f"features.{s}.1.bn", width)
        write.conv(f"outs.{s}.conv", width, 16, 1)
        if s + 1 < stacks:
            write.conv(f"merge_preds.{s}.conv.conv", 16, width, 1, gain=0.3)
            write.conv(f"merge_features.{s}.conv.conv", width, width, 1, gain=0.3)
    return write.tensors


class Reader:
    """Holds the tensors and runs the layers that their names stand for."""

    def __init__(self, tensors):
        self.tensors = tensors

    def conv(self, name, x, stride=1):
        weight = self.tensors[f"{name}.weight"]
        bias = self.tensors.get(f"{name}.bias")
        return functional.conv2d(x, weight, bias, stride, weight.shape[2] // 2)

    def norm(self, name, x):
        parts = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *(self.tensors[f"{name}.{part}"] for part in parts))

    def unit(self, name, x, stride=1, act=True):
        x = self.conv(f"{name}.conv", x, stride)
        if f"{name}.bn.weight" in self.tensors:
            x = self.norm(f"{name}.bn", x)
        return x.relu() if act else x

    def residual(self, name, x):
        y = x
        for index in (1, 2, 3):
            y = self.conv(f"{name}.conv{index}.conv", self.norm(f"{name}.bn{index}", y).relu())
        inputs, outputs = x.shape[1], y.shape[1]
        return y + (x if inputs == outputs else self.conv(f"{name}.skip_layer.conv", x))

    def block(self, name, x):
        single = f"{name}.conv1.conv.weight" in self.tensors
        return self.residual(name, x) if single else self.unit(name, x)

    def hourglass(self, name, x):
        y = self.block(f"{name}.low1", functional.max_pool2d(x, 2))
        deeper = any(key.startswith(f"{name}.low2.low1.") for key in self.tensors)
        y = self.hourglass(f"{name}.low2", y) if deeper else self.block(f"{name}.low2", y)
        y = self.block(f"{name}.low3", y)
        y = y.repeat_interleave(2, 2).repeat_interleave(2, 3)
        return self.block(f"{name}.up1", x) + y


def what_their_network_says(tensors, x):
    """All outputs of every stack for x, (B, 3, H, W) as that network wants its pixels."""
    run, mm = Reader(tensors), "stem.0.conv.weight" in tensors
    stem = "stem" if mm else "pre"
    x = run.unit(f"{stem}.0", x, stride=2)
    x = functional.max_pool2d(run.block(f"{stem}.1", x), 2)
    x = run.block(f"{stem}.4", run.block(f"{stem}.3", x))
    said = []
    for s in range(99):
        if mm:
            part, out, merges = f"hourglass_modules.{s}", f"out_convs.{s}.conv", "remap"
        else:
            part, out, merges = f"features.{s}", f"outs.{s}.conv", "merge"
        if f"{out}.weight" not in tensors:
            break
        if f"hgs.{s}.0.up1.bn1.weight" in tensors:
            y = run.residual(f"{part}.0", run.hourglass(f"hgs.{s}.0", x))
            y = run.unit(f"{part}.1", y)
        else:
            y = run.unit(f"{part}.2", run.unit(f"{part}.1", run.hourglass(f"{part}.0", x)))
        said.append(run.conv(out, y))
        if f"{merges}_features.{s}.conv.conv.weight" in tensors:
            x = x + run.conv(f"merge_preds.{s}.conv.conv", said[-1])
            x = x + run.conv(f"merge_features.{s}.conv.conv", y)
        elif f"remap_out_convs.{s}.conv.weight" in tensors:
            x = x + run.unit(f"remap_out_convs.{s}", said[-1], act=False)
            x = x + run.unit(f"remap_feature_convs.{s}", y, act=False)
    return said
