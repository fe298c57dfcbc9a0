"""Bodies of many shapes in any pose, dressed in paint, from the parametric model ``anny``."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial.transform import Rotation

from .motions import Pose, swing

__all__ = ["BodyModel", "DressedPerson", "load_body", "random_person"]

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
Int: TypeAlias = NDArray[np.int32]

_SHAPES = 40  # bodies made once and reused: shaping one takes 20 times as long as posing it
_SHAPE_RANGES = {
    "gender": (0.0, 1.0),
    "age": (0.35, 1.0),
    "muscle": (0.2, 0.8),
    "weight": (0.2, 0.85),
    "height": (0.3, 0.8),
    "proportions": (0.2, 0.9),
}
_LIMB_ENDS = {"UpLeg": "Leg", "Leg": "Foot", "Foot": "ToeBase", "Arm": "ForeArm", "ForeArm": "Hand"}
_PARTS = {
    "head": ("Head", "Neck1"),
    "neck": ("Neck",),
    "upper_arm": ("LeftArm", "RightArm"),
    "forearm": ("LeftForeArm", "RightForeArm"),
    "hand": ("LeftHand", "RightHand", "LThumb", "RThumb", "LeftFingerBase", "RightFingerBase",
             "LeftHandFinger1", "RightHandFinger1"),
    "thigh": ("LeftUpLeg", "RightUpLeg", "LHipJoint", "RHipJoint", "Hips"),
    "shin": ("LeftLeg", "RightLeg"),
    "foot": ("LeftFoot", "RightFoot", "LeftToeBase", "RightToeBase"),
}  # fmt: skip
# BGR
_SKINS = ((36, 85, 141), (66, 134, 198), (105, 172, 224), (125, 194, 241), (172, 219, 255),
          (37, 56, 90), (160, 187, 233))  # fmt: skip
_HAIRS = ((16, 18, 20), (25, 40, 60), (40, 75, 110), (90, 150, 190), (120, 120, 120), (30, 60, 140))


@dataclass(frozen=True, slots=True)
class BodyModel:
    """What the body model says once and for all, and a stock of shapes."""

    bones: tuple[str, ...]
    parents: tuple[int, ...]
    faces: Int  # (F, 3)
    weights: csr_matrix  # (N, bones) skinning
    joint_weights: F32  # (17, N) COCO joints as means of vertices
    parts: NDArray[np.str_]  # (N,) which part of the body a vertex is of
    shapes: tuple[tuple[F64, F64], ...]  # (N, 3) vertices and (bones, 3) heads at rest, metres


@dataclass(frozen=True, slots=True)
class DressedPerson:
    """A body in a pose, painted."""

    vertices: F32  # (N, 3) metres, x left, y back, z up, pelvis at the origin
    joints: F32  # (17, 3) COCO joints
    colors: F32  # (N, 3) BGR 0 to 255
    texture_share: F32  # (N,) how much of a texture shows instead
    texture_at: F32  # (N, 2) where in it, px


def load_body(seed: int) -> BodyModel:
    """Build the body model and its stock of shapes; takes some seconds.

    Raises:
        ImportError: the package ``anny`` is not installed.
    """
    # Only those who make synthetic people have it.
    import anny  # type: ignore[import-not-found, import-untyped, unused-ignore]
    import torch

    model: Any = anny.Anny(rig="cmu_mb", phenotype_blendshapes="original")
    bones = tuple(model.bone_labels)
    index = model.vertex_bone_indices.numpy()
    share = model.vertex_bone_weights.numpy().astype(np.float32)
    rows = np.repeat(np.arange(len(index)), index.shape[1])
    weights = csr_matrix((share.ravel(), (rows, index.ravel())), shape=(len(index), len(bones)))
    strongest = np.asarray(bones)[index[np.arange(len(index)), share.argmax(1)]]
    parts = np.full(len(strongest), "torso", dtype="<U12")
    for part, names in _PARTS.items():
        parts[np.isin(strongest, names)] = part
    rng = np.random.default_rng(seed)
    shapes = []
    for _ in range(_SHAPES):
        kind = {name: float(rng.uniform(*limits)) for name, limits in _SHAPE_RANGES.items()}
        with torch.no_grad():
            made = model(phenotype_kwargs=kind)
        shapes.append((made["rest_vertices"][0].numpy(), made["rest_bone_heads"][0].numpy()))
    regressor: Any = anny.KeypointsRegressor.coco(model)
    return BodyModel(
        bones=bones,
        parents=tuple(int(parent) for parent in model.bone_parents),
        faces=model.faces.numpy().astype(np.int32),
        weights=weights,
        joint_weights=regressor.regression_weights.numpy()[:17].astype(np.float32),
        parts=parts,
        shapes=tuple(shapes),
    )


def random_person(body: BodyModel, poses: list[Pose], rng: np.random.Generator) -> DressedPerson:
    """Somebody of any shape, in any pose, facing any way, dressed anyhow."""
    rest, heads = body.shapes[int(rng.integers(len(body.shapes)))]
    turned, places = _posed(body, heads, poses[int(rng.integers(len(poses)))], rng)
    yaw = Rotation.from_euler("z", rng.uniform(-np.pi, np.pi)).as_matrix()
    turned, places = yaw @ turned, places @ yaw.T
    # Linear blend skinning: each vertex moves by the weighted mean of its bones' motions.
    blend = (body.weights @ turned.reshape(len(heads), 9)).reshape(-1, 3, 3)
    shift = body.weights @ (places - np.einsum("bij,bj->bi", turned, heads))
    vertices = (np.einsum("vij,vj->vi", blend, rest) + shift).astype(np.float32)
    colors, share = _dressed(body, rest, heads, rng)
    return DressedPerson(
        vertices=vertices,
        joints=body.joint_weights @ vertices,
        colors=colors,
        texture_share=share,
        texture_at=(rest[:, [0, 2]] * rng.uniform(150, 500) + rng.uniform(0, 100, 2)).astype("f4"),
    )


def _posed(body: BodyModel, heads: F64, pose: Pose, rng: np.random.Generator) -> tuple[F64, F64]:
    """Rotation and place of each bone, limbs strewn around the pose to make it many."""
    leg_noise = rng.choice([0.08, 0.15, 0.4], p=[0.4, 0.35, 0.25])
    arm_noise = rng.choice([0.1, 0.3, 0.8], p=[0.4, 0.3, 0.3])
    number = {name: k for k, name in enumerate(body.bones)}
    turned, places = np.zeros((len(heads), 3, 3)), np.zeros((len(heads), 3))
    for k, name in enumerate(body.bones):
        parent = body.parents[k]
        if parent < 0:
            turned[k] = pose.pelvis
            continue
        places[k] = places[parent] + turned[parent] @ (heads[k] - heads[parent])
        side = next((s for s in ("Left", "Right") if name.startswith(s)), "")
        limb = name.removeprefix(side)
        if side and limb in _LIMB_ENDS:
            along = heads[number[side + _LIMB_ENDS[limb]]] - heads[k]
            start = {"UpLeg": pose.pelvis, "Arm": pose.chest}.get(limb, turned[parent])
            noise = arm_noise if "Arm" in name else leg_noise
            wanted = pose.bones[name] + rng.normal(0, noise, 3)
            turned[k] = swing(start @ along, wanted) @ start
        else:
            turned[k] = _trunk(name, pose, turned[parent], rng)
    return turned, places


def _trunk(name: str, pose: Pose, above: F64, rng: np.random.Generator) -> F64:
    """How a bone of spine, neck or head is turned; any other follows the one before it."""
    if name == "LowerBack":
        return _between(pose.pelvis, pose.chest)
    if name in ("Spine", "Spine1"):
        return pose.chest
    if name in ("Neck", "Neck1"):
        return _between(pose.chest, pose.head)
    if name == "Head":
        nod = Rotation.from_rotvec(rng.normal(0, 0.2, 3)).as_matrix()
        return np.asarray(pose.head @ nod, dtype=np.float64)
    return above


def _between(first: F64, second: F64) -> F64:
    mean = Rotation.from_matrix(np.stack([first, second])).mean()
    return np.asarray(mean.as_matrix(), dtype=np.float64)


def _dressed(body: BodyModel, rest: F64, heads: F64, rng: np.random.Generator) -> tuple[F32, F32]:
    """Skin, hair, shirt, trousers and shoes as colours of vertices."""
    parts = body.parts
    skin = np.asarray(_SKINS[int(rng.integers(len(_SKINS)))]) * rng.uniform(0.8, 1.1)
    colors = np.tile(skin, (len(rest), 1))
    share = np.zeros(len(rest))
    sleeves, legs = rng.random(2)
    top = ["torso", *["upper_arm"] * int(sleeves > 0.25), *["forearm"] * int(sleeves > 0.6)]
    bottom = ["thigh", *["shin"] * int(legs > 0.35)]
    for names, brightest, texture in ((top, 255, 0.8), (bottom, 200, 0.4)):
        worn = np.isin(parts, names)
        colors[worn] = rng.uniform(0, brightest, 3)
        share[worn] = rng.uniform(0, texture)
    colors[parts == "foot"] = rng.uniform(0, 255, 3)
    if rng.random() < 0.92:
        height, back = rest[:, 2], rest[:, 1]
        crown = height > height.max() - 0.085
        nape = (back > heads[body.bones.index("Head")][1] + 0.02) & (
            height > height.max() - rng.uniform(0.16, 0.28)
        )
        colors[(parts == "head") & (crown | nape)] = _HAIRS[int(rng.integers(len(_HAIRS)))]
    return colors.astype(np.float32), share.astype(np.float32)
