// How the camera views share the stage with the 3D scene.

export const GAP_PX = 6;
const LEAST_SCENE_SHARE = 0.36;

/**
 * {columns, width, height} of the views, in CSS pixels, that fill a stage best beside the scene.
 *
 * Tries every number of columns and keeps the one whose views cover most of the stage while the
 * scene keeps its share of the width.
 */
export function packViews(count, aspect, stageWidth, stageHeight) {
  const room = stageWidth * (1 - LEAST_SCENE_SHARE);
  let best = null;
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const byHeight = (stageHeight - GAP_PX * (rows - 1)) / rows;
    const byWidth = (room - GAP_PX * (columns - 1)) / columns / aspect;
    const height = Math.floor(Math.min(byHeight, byWidth));
    const area = height * height * aspect * count;
    if (!best || area > best.area)
      best = { columns, width: Math.floor(height * aspect), height, area };
  }
  return best;
}
