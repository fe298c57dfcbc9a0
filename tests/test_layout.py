"""The house keeps its shape: imports point one way, the CPU path stays light, names are ours."""

import ast
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# service -> capture -> calibration; capture -> models -> kernels; service -> all of them.
MAY_IMPORT = {
    "service": {"capture", "calibration", "models", "kernels", "quadglass"},
    "capture": {"calibration", "models"},
    "calibration": set(),
    "models": {"kernels"},
    "kernels": set(),
    "quadglass": set(),  # the client, for machines that have nothing else of ours
}


def imported_folders(path: Path) -> set[str]:
    """The folders of ours that a file imports by absolute name, at any depth in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names & set(MAY_IMPORT)


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_point_one_way(folder):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in sorted(imported_folders(path) - MAY_IMPORT[folder] - {folder})
    ]
    assert not wrong, f"an arrow of the layout is reversed: {wrong}"


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_inside_a_folder_imports_are_relative(folder):
    wrong = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / folder).rglob("*.py"))
        if folder in imported_folders(path)
    ]
    assert not wrong, f"use relative imports inside {folder}/: {wrong}"


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_no_other_distribution_owns_our_names(folder):
    owners = set(packages_distributions().get(folder, ())) - {"quadglass"}
    assert not owners, (
        f"{sorted(owners)} also installs a package called {folder!r}: one of the two would be "
        "imported by chance. Install quadglass in an environment of its own (bash deploy/setup.sh)."
    )


def test_folders_have_no_vague_modules():
    vague = {"utils", "util", "helpers", "common", "base", "misc"}
    found = [
        str(path.relative_to(ROOT))
        for folder in MAY_IMPORT
        for path in (ROOT / folder).rglob("*.py")
        if path.stem in vague
    ]
    assert not found, f"name these after what they hold: {found}"


def test_serving_on_a_cpu_imports_no_torch():
    code = (
        "import sys; import service.app, service.cli, service.pipeline, models.predictor; "
        "print(sorted({'torch', 'triton'} & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stderr
    assert out.stdout.strip() == "[]"


def test_every_test_folder_is_a_package():
    # Without it tests/models would masquerade as models.
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    missing = [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").is_file()]
    assert not missing, f"add __init__.py: {missing}"
