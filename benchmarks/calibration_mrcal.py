"""mrcal's optimizer as a peer, in whatever Python has it (it is on no package index for this one).

Debian and Ubuntu carry it: `apt-get install python3-mrcal`, then `--mrcal /usr/bin/python3`. This
file is also the script that runs there; it needs only numpy and mrcal.

It is given the seed that OpenCV's chain makes of the same corners, and rejects outliers itself.
Its regularization, a pull of its own on the optimum, is off; its lens is `OPENCV5`, ours.
"""

from __future__ import annotations

import sys
import time

import numpy as np


def main(given: str, found: str) -> None:
    """Runs where mrcal is; see `other_python.solve` for what is in the files."""
    import mrcal

    with np.load(given) as content:
        problem = dict(content)
    pixels, indices = problem["pixels"], problem["indices"]
    weights = np.ones((*pixels.shape[:3], 1))
    observations = np.concatenate([pixels, weights], axis=-1)
    intrinsics, boards = problem["intrinsics"].copy(), problem["boards"].copy()
    poses = problem["poses"][1:].copy()
    # board, camera, camera as it counts poses: the first one is the reference and has none
    places = np.stack([indices[:, 0], indices[:, 1], indices[:, 1] - 1], axis=1).astype(np.int32)
    start = time.process_time()
    stats = mrcal.optimize(
        intrinsics=intrinsics,
        extrinsics_rt_fromref=poses,
        frames_rt_toref=boards,
        points=None,
        observations_board=observations,
        indices_frame_camintrinsics_camextrinsics=places,
        observations_point=None,
        indices_point_camintrinsics_camextrinsics=None,
        lensmodel="LENSMODEL_OPENCV5",
        imagersizes=np.tile(problem["size_px"].astype(np.int32), (len(intrinsics), 1)),
        calibration_object_spacing=float(problem["square_m"]),
        do_optimize_calobject_warp=False,
        do_apply_regularization=False,
        do_apply_outlier_rejection=bool(problem["reject"]),
        verbose=False,
    )
    np.savez(
        found,
        seconds=time.process_time() - start,
        intrinsics=intrinsics,
        poses=np.concatenate([np.zeros((1, 6)), poses]),
        outliers=int((observations[..., 2] < 0).sum()),
        rms_px=float(stats["rms_reproj_error__pixels"]),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
