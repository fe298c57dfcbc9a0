"""Where the packaged weights are, and proof that a file is what it says."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from .errors import WeightsDamaged, WeightsMissing

__all__ = ["DEFAULT_NAME", "FORMAT", "WeightsInfo", "default_weights", "open_weights"]

DEFAULT_NAME = "quadglass-m"
FORMAT = "quadglass-weights/1"
_FOLDER = Path(__file__).parent / "weights"
_PROBE_SIDE = 64  # px; any sound network can look at so small a picture, in about 10 ms


@dataclass(frozen=True, slots=True)
class WeightsInfo:
    """A weights file and what is written in it."""

    path: Path
    sha256: str  # of the whole file
    name: str
    skeleton: str
    input_side: int  # px, the longer side it was made for
    config: str  # JSON of the network's configuration
    checkpoint_sha256: str  # of the training checkpoint it was exported from


def default_weights(name: str = DEFAULT_NAME) -> Path:
    """The packaged file of a network, its content checked.

    Args:
        name: without suffix.

    Raises:
        WeightsMissing: no such file in the package.
        WeightsDamaged: its content is not what was packaged.
    """
    path = _FOLDER / f"{name}.onnx"
    if not path.is_file():
        packaged = ", ".join(sorted(file.stem for file in _FOLDER.glob("*.onnx"))) or "none"
        raise WeightsMissing(
            f"no packaged weights {name!r} (there are: {packaged}); "
            "name one of them or give the path of a file"
        )
    expected = path.with_suffix(".sha256").read_text(encoding="ascii").split()[0]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise WeightsDamaged(
            f"{path} has sha256 {found[:12]}…, packaged was {expected[:12]}…; install again"
        )
    return path


def open_weights(
    path: Path, *, threads: int, providers: Sequence[str]
) -> tuple[WeightsInfo, onnxruntime.InferenceSession]:
    """A session on a weights file, with what the file's metadata says.

    Args:
        path: an ONNX file exported by ``models.training.export``.
        threads: of the session.
        providers: ONNX Runtime's, in order of preference.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: it cannot be read, is not one of ours, or holds NaN.
    """
    if not path.is_file():
        raise WeightsMissing(f"no weights at {path}; check the path in the settings")
    content = path.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=list(providers))
    # ONNX Runtime raises a family of classes of its own for a bad file, none of them exported.
    except Exception as error:
        raise WeightsDamaged(
            f"{path} is not a readable ONNX file ({type(error).__name__}); export it again"
        ) from error
    metadata = session.get_modelmeta().custom_metadata_map
    if metadata.get("format") != FORMAT:
        raise WeightsDamaged(
            f"{path} is not a network of ours (format {metadata.get('format')!r}, "
            f"need {FORMAT!r}); export it with `quadglass export`"
        )
    _refuse_nan(path, session)
    info = WeightsInfo(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        name=str(json.loads(metadata["config"])["name"]),
        skeleton=metadata["skeleton"],
        input_side=int(metadata["input_side"]),
        config=metadata["config"],
        checkpoint_sha256=metadata["checkpoint_sha256"],
    )
    return info, session


def _refuse_nan(path: Path, session: onnxruntime.InferenceSession) -> None:
    """Nothing, if the network says numbers of a grey picture.

    The weights inside the file cannot be read without its library, which serving does without;
    but a NaN among them reaches the outputs, where it would pass for an empty picture.

    Raises:
        WeightsDamaged: it says NaN.
    """
    grey = np.full((1, _PROBE_SIDE, _PROBE_SIDE, 3), 128, dtype=np.uint8)
    names = [output.name for output in session.get_outputs()]
    said = dict(zip(names, session.run(names, {"images": grey}), strict=True))
    bad = [name for name, values in said.items() if np.isnan(values).any()]
    if np.asarray(said.get("seed_scores", [])).size:  # a trunk, so maps are sigmoids
        for name in ("scores", "seed_scores"):
            # Best of each map. A sigmoid never is zero; where all is NaN, no peak is left.
            if (np.asarray(said[name]).max(axis=-1) == 0.0).any():
                bad.append(name)
    if bad:
        raise WeightsDamaged(
            f"{path} holds NaN weights: its {', '.join(bad)} of a grey picture are no numbers; "
            "export it again from a sound checkpoint"
        )
