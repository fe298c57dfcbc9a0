"""What the figures of a network benchmark were measured on."""

import os
import platform
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

__all__ = ["machine", "machine_line"]


def machine() -> dict[str, str]:
    """Processor, load and versions."""
    models = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
    }


def machine_line(of: dict[str, str]) -> str:
    """The same as one line under a table."""
    return ", ".join(f"{name} {value}" for name, value in of.items())
