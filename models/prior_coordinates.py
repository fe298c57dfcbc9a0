"""Poses as bones: lengths and directions, each limb seen from the part that it hangs on.

A change of variables with a known determinant, so densities over the joints stay exact. Joints lie
on thin shells around their neighbours and move with the trunk; in these coordinates the shells are
flat and the trunk is upright, which a flow need not learn then.

Only matrix products with constants and arithmetic along rows are used: what autograd makes of them
can be exported, gradient and all, for any number of rows.
"""

from functools import cache

import torch
from torch import Tensor, nn

__all__ = ["DIMS", "JOINTS", "BoneCoordinates"]

JOINTS, DIMS = 17, 51
# Joints in the order in which they are placed, and what each hangs on (one or two joints' middle).
_HIPS = (11, 12)
_ROOTED = ((5, (11, 12)), (6, (11, 12)))  # seen from the heading
_ON_TRUNK = ((0, (5, 6)), (7, (5,)), (8, (6,)), (13, (11,)), (14, (12,)))  # seen from the trunk
_FACE = ((1, (0,)), (2, (0,)), (3, (0,)), (4, (0,)))  # seen from the trunk too
_OUTER = ((9, (7,)), (10, (8,)), (15, (13,)), (16, (14,)))  # seen from the limb's first bone
_BONES = (*_ROOTED, *_ON_TRUNK, *_FACE, *_OUTER)
_TINY = 1e-10  # square metres under a root, so that its gradient stays finite


@cache
def _blocks(count: int) -> Tensor:
    """(3 count, count) sums each triple."""
    return torch.kron(torch.eye(count), torch.ones(3, 1))


@cache
def _picker(joints: tuple[int, ...]) -> Tensor:
    """(51, 3 len(joints)) these joints out of all."""
    pick = torch.zeros(JOINTS, len(joints))
    for column, joint in enumerate(joints):
        pick[joint, column] = 1
    return torch.kron(pick, torch.eye(3))


@cache
def _middles(parents: tuple[tuple[int, ...], ...]) -> Tensor:
    """(51, 3 len(parents)) the middles of groups of joints."""
    return torch.stack(
        [_picker(group).reshape(DIMS, -1, 3).mean(1) for group in parents], 1
    ).flatten(1)


class BoneCoordinates(nn.Module):
    """Joints in their frame (B, 51) to coordinates (B, 51) and back.

    Coordinates of a joint stand in its own three columns: for the hips their place, for the others
    the logarithm of the bone's length and Lambert's equal-area map of its direction around the
    mean direction, which keeps areas and so leaves the lengths as the only term of the determinant.
    """

    def __init__(self) -> None:
        super().__init__()
        count = len(_BONES)
        self.register_buffer("mean_bones", torch.zeros(count, 3))
        self.register_buffer("hips", torch.zeros(6))
        # For row vectors, all bones at once: puts each mean direction on its triple's first axis.
        self.register_buffer("to_pole", torch.eye(3 * count))
        self.mean_bones: Tensor
        self.hips: Tensor
        self.to_pole: Tensor
        self._joints = tuple(joint for joint, _ in _BONES)
        self._parents = tuple(parents for _, parents in _BONES)

    def fit(self, poses: Tensor) -> None:
        """Take the mean bones from whole poses (B, 51)."""
        ones = torch.ones(len(poses), JOINTS)
        self.hips.copy_((poses @ _picker(_HIPS)).mean(0))
        self.mean_bones.copy_(_standing_bones())
        for _ in range(3):  # outer bones are seen from inner ones, whose means come first
            bones, _ = self._bones(poses, ones)
            self.mean_bones.copy_(bones.reshape(len(poses), -1, 3).mean(0))
        poles = map(_pole, self.mean_bones)
        self.to_pole.copy_(torch.block_diag(*poles))  # type: ignore[no-untyped-call]

    def forward(self, poses: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates and the logarithm of the determinant.

        Args:
            poses: (B, 51); what stands in unseen joints does not matter but must be finite.
            seen: (B, 17) ones and zeros.

        Returns:
            (B, 51) coordinates, zero for unseen joints, and (B, 1).
        """
        bones, shown = self._bones(poses, seen)
        count = len(_BONES)
        ones = _blocks(count)
        # An unseen joint is given its mean bone, whose coordinates are finite.
        bones = bones * (shown @ ones.T) + self.mean_bones.flatten() * (1 - shown @ ones.T)
        radius = torch.sqrt((bones * bones) @ ones + _TINY)  # (B, 15)
        direction = bones / (radius @ ones.T)
        turned = direction @ self.to_pole  # (B, 45)
        height, east, north = (turned @ _component(count, axis) for axis in range(3))
        flat = torch.sqrt(2 / (1 + height + 1e-6))
        logs = torch.log(radius)
        parts = (
            logs @ _spread(count, 0)
            + (east * flat) @ _spread(count, 1)
            + (north * flat) @ _spread(count, 2)
        )  # (B, 45)
        hips = poses @ _picker(_HIPS) - self.hips
        both = parts @ _picker(self._joints).T + hips @ _picker(_HIPS).T
        log_det = -3 * ((logs * shown) @ _column(count))
        return both * (seen @ _blocks(JOINTS).T), log_det

    def inverse(self, coordinates: Tensor) -> Tensor:
        """Whole poses (B, 51) from whole coordinates (B, 51)."""
        count, rows = len(_BONES), len(coordinates)
        parts = (coordinates @ _picker(self._joints)).reshape(rows, count, 3)
        flat = parts[..., 1:]
        square = (flat * flat).sum(-1).clamp(max=3.999)
        height = 1 - square / 2
        share = torch.sqrt(1 - square / 4)
        turned = torch.stack([height, flat[..., 0] * share, flat[..., 1] * share], -1)
        direction = (turned.flatten(1) @ self.to_pole.T).reshape(rows, count, 3)
        bones = (direction * torch.exp(parts[..., :1])).unbind(1)
        hips = coordinates @ _picker(_HIPS) + self.hips
        places = dict(zip(_HIPS, hips.reshape(rows, 2, 3).unbind(1), strict=True))
        own = {joint: bones[number] for number, joint in enumerate(self._joints)}

        def hang(joint: int, parents: tuple[int, ...], bone: Tensor) -> None:
            places[joint] = torch.stack([places[p] for p in parents]).mean(0) + bone

        for joint, middle in _ROOTED:
            hang(joint, middle, own[joint])
        axes = torch.stack(
            _trunk(torch.cat([places[joint] for joint in (5, 6, 11, 12)], 1)), 1
        )  # (B, 3, 3) rows forward, left, up
        seen_from_trunk = {}
        on_trunk: tuple[tuple[int, tuple[int, ...]], ...] = (*_ON_TRUNK, *_FACE)
        for joint, parents in on_trunk:
            seen_from_trunk[joint] = own[joint]
            hang(joint, parents, torch.einsum("bi,bij->bj", own[joint], axes))
        for joint, above in _OUTER:
            inner = seen_from_trunk[above[0]]
            number = self._joints.index(above[0])
            swing = _halfway(inner, self.mean_bones[number], 1)
            bone = _reflected(own[joint], swing, 1)
            hang(joint, above, torch.einsum("bi,bij->bj", bone, axes))
        return torch.cat([places[joint] for joint in range(JOINTS)], 1)

    def _bones(self, poses: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Bones (B, 45), each seen from what it hangs on, and whether its joint is seen (B, 15)."""
        all_seen = seen @ _blocks(JOINTS).T  # (B, 51)
        hips = self.hips @ _picker(_HIPS).T
        placed = all_seen * poses + (1 - all_seen) * hips  # right for the hips; the rest follows
        means = self.mean_bones
        rooted, placed = _hung(placed, poses, all_seen, _ROOTED, means[:2].flatten())
        forward, left, up = _trunk(placed @ _picker((5, 6, 11, 12)))
        inner_mean = _rotated_back(means[2:7].flatten(), forward, left, up, 5)
        inner, placed = _hung(placed, poses, all_seen, _ON_TRUNK, inner_mean)
        inner = _rotated(inner, forward, left, up, 5)
        # No joint hangs on the face, the wrists or the ankles: no need to place unseen ones.
        face = _rotated(
            (poses - placed @ _onto(_FACE)) @ _picker((1, 2, 3, 4)), forward, left, up, 4
        )
        outer = (poses - placed @ _onto(_OUTER)) @ _picker((9, 10, 15, 16))
        outer = _rotated(outer, forward, left, up, 4)
        limbs = placed @ (_picker((7, 8, 13, 14)) - _picker((5, 6, 11, 12)))
        limbs = _rotated(limbs, forward, left, up, 4)
        outer = _reflected(outer, _halfway(limbs, means[3:7].flatten(), 4), 4)
        return torch.cat([rooted, inner, face, outer], 1), seen @ _ends(self._joints)


def _pole(bone: Tensor) -> Tensor:
    """A (3, 3) rotation, for row vectors, that puts a direction on axis 0."""
    first = bone / bone.norm()
    helper = torch.eye(3)[int(first.abs().argmin())]
    second = torch.linalg.cross(first, helper)
    second = second / second.norm()
    return torch.stack([first, second, torch.linalg.cross(first, second)], 1)


def _standing_bones() -> Tensor:
    down, up = [0.0, 0.0, -0.3], [0.1, 0.0, 0.2]
    return torch.tensor(
        [[0, 0.17, 0.5], [0, -0.17, 0.5], up, down, down, down, down,
         *[[-0.03, 0.03, 0.03]] * 4, down, down, down, down]
    )  # fmt: skip


@cache
def _onto(bones: tuple[tuple[int, tuple[int, ...]], ...]) -> Tensor:
    """(51, 51) puts each joint's parent in the joint's columns."""
    joints, parents = zip(*bones, strict=True)
    return _middles(parents) @ _picker(joints).T


def _hung(
    placed: Tensor,
    poses: Tensor,
    seen: Tensor,
    bones: tuple[tuple[int, tuple[int, ...]], ...],
    means: Tensor,
) -> tuple[Tensor, Tensor]:
    """Bones (B, 3 K) of joints on their parents, and places with unseen ones at the mean bone."""
    joints, parents = zip(*bones, strict=True)
    pick, ends = _picker(joints), placed @ _middles(parents)
    shown = seen @ pick
    at = shown * (poses @ pick) + (1 - shown) * (ends + means)
    return at - ends, placed * _others(joints) + at @ pick.T


def _trunk(corners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Forward, left and up (B, 3) of a trunk, from shoulders and hips (B, 12), left ones first."""
    one = _blocks(1)
    up = corners @ _signed((1, 1, -1, -1))
    left = corners @ _signed((1, -1, 1, -1))
    up = up / torch.sqrt((up * up) @ one + _TINY)
    left = left - up * ((left * up) @ one)
    left = left / torch.sqrt((left * left) @ one + _TINY)
    return _crossed(left, up), left, up


def _crossed(first: Tensor, second: Tensor) -> Tensor:
    ahead, back = _rolled(1), _rolled(2)
    return (first @ ahead) * (second @ back) - (first @ back) * (second @ ahead)


def _rotated(vectors: Tensor, forward: Tensor, left: Tensor, up: Tensor, count: int) -> Tensor:
    """(B, 3 count) vectors in the axes given."""
    ones, wide = _blocks(count), _repeated(count)
    parts = [(vectors * (axis @ wide)) @ ones for axis in (forward, left, up)]
    first, second, third = (part @ _spread(count, axis) for axis, part in enumerate(parts))
    return first + second + third


def _rotated_back(vectors: Tensor, forward: Tensor, left: Tensor, up: Tensor, count: int) -> Tensor:
    """(B, 3 count) vectors given in these axes."""
    ones, wide = _blocks(count), _repeated(count)
    first, second, third = (
        ((vectors @ _component(count, axis)) @ ones.T) * (direction @ wide)
        for axis, direction in enumerate((forward, left, up))
    )
    return first + second + third


def _halfway(bones: Tensor, means: Tensor, count: int) -> Tensor:
    """The directions half way between bones and their means, of any length."""
    ones = _blocks(count)

    def unit(vectors: Tensor) -> Tensor:
        return vectors / (torch.sqrt((vectors * vectors) @ ones + _TINY) @ ones.T)

    return unit(bones) + unit(means)


def _reflected(vectors: Tensor, about: Tensor, count: int) -> Tensor:
    """Vectors turned half way round about directions: takes a bone's direction to its mean's."""
    ones = _blocks(count)
    share = 2 * ((vectors * about) @ ones) / ((about * about) @ ones + 1e-6)
    return (share @ ones.T) * about - vectors


@cache
def _component(count: int, axis: int) -> Tensor:
    """(3 count, count) one component of each triple."""
    return torch.kron(torch.eye(count), torch.eye(3)[:, axis : axis + 1])


@cache
def _spread(count: int, axis: int) -> Tensor:
    """(count, 3 count) the other way round."""
    return _component(count, axis).T


@cache
def _ends(joints: tuple[int, ...]) -> Tensor:
    """(17, len(joints)) picks one number of each of these joints."""
    return torch.eye(JOINTS)[:, list(joints)]


@cache
def _others(joints: tuple[int, ...]) -> Tensor:
    """(51,) ones but for these joints."""
    return 1 - _picker(joints).sum(1)


@cache
def _signed(signs: tuple[int, ...]) -> Tensor:
    """(3 len(signs), 3) adds triples with these signs."""
    return torch.cat([sign * torch.eye(3) for sign in signs])


@cache
def _rolled(steps: int) -> Tensor:
    """(3, 3) x y z to y z x, so many times."""
    return torch.roll(torch.eye(3), -steps, 1)


@cache
def _repeated(count: int) -> Tensor:
    """(3, 3 count) a triple, side by side."""
    return torch.eye(3).repeat(1, count)


@cache
def _column(count: int) -> Tensor:
    """(count, 1) sums a row."""
    return torch.ones(count, 1)
