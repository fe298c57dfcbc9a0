// COCO-17, as in models/skeleton.py: joints, bones, sides, and the angles worth a curve.

export const JOINTS = [
  "nose",
  "left_eye",
  "right_eye",
  "left_ear",
  "right_ear",
  "left_shoulder",
  "right_shoulder",
  "left_elbow",
  "right_elbow",
  "left_wrist",
  "right_wrist",
  "left_hip",
  "right_hip",
  "left_knee",
  "right_knee",
  "left_ankle",
  "right_ankle",
];

export const BONES = [
  [5, 7],
  [7, 9],
  [6, 8],
  [8, 10],
  [5, 6],
  [5, 11],
  [6, 12],
  [11, 12],
  [11, 13],
  [13, 15],
  [12, 14],
  [14, 16],
  [0, 1],
  [0, 2],
  [1, 3],
  [2, 4],
];

export const TORSO = [5, 6, 12, 11];
export const HEAD = [0, 1, 2, 3, 4];
export const LIMB_ENDS = [9, 10, 15, 16];
export const SHOULDERS = [5, 6];
export const HIPS = [11, 12];

/** Angles in degrees at the middle joint of three, straight being 180. */
export const ANGLES = {
  "left knee": [11, 13, 15],
  "right knee": [12, 14, 16],
  "left hip": [5, 11, 13],
  "right hip": [6, 12, 14],
  "left elbow": [5, 7, 9],
  "right elbow": [6, 8, 10],
  "left shoulder": [11, 5, 7],
  "right shoulder": [12, 6, 8],
};

/** "left", "right" or "middle". */
export function sideOf(joint) {
  return joint === 0 ? "middle" : joint % 2 === 1 ? "left" : "right";
}

/** The side a bone is drawn as: of its joints, if they agree. */
export function sideOfBone([first, second]) {
  const side = sideOf(second);
  return first === 0 || sideOf(first) === side ? side : "middle";
}

/** The mean of the joints that have a position, or null. */
export function middle(positions, joints) {
  const found = joints.map((joint) => positions[joint]).filter(Boolean);
  if (found.length === 0) return null;
  return [0, 1, 2].map((axis) => found.reduce((sum, p) => sum + p[axis], 0) / found.length);
}
