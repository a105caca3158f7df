"""How the house is built: who may include or import whom, and that files stay short."""

import ast
import re
from pathlib import Path

import pytest

import tfqz

ROOT = Path(__file__).resolve().parent.parent
# Each knows itself and those before it.
FOLDERS = ("pencil", "vectors", "algorithms", "ops")
ROOMS = ("_form", "_backends", "_derivative", "_api")


def sources(*suffixes):
    folders = ("cc", "tfqz", "tests", "benchmarks", "examples", "release")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*")) if path.suffix in suffixes]


@pytest.mark.parametrize("folder", FOLDERS)
def test_includes_go_down(folder):
    """The mathematics knows nothing of TensorFlow."""
    below = FOLDERS[: FOLDERS.index(folder) + 1]
    for path in (ROOT / "cc" / folder).iterdir():
        included = re.findall(r'^#include "([^"]+)"', path.read_text(), re.M)
        own = [name for name in included if (ROOT / "cc" / name).exists()]
        assert all(name.split("/")[0] in below for name in own), path
        if folder != "ops":
            assert all(name in own or name.startswith("hwy/") for name in included), path


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_down(room):
    below = ROOMS[: ROOMS.index(room) + 1]
    for path in (ROOT / "tfqz" / room).glob("*.py"):
        assert [name for name in imported(path) if name.startswith("tfqz.") and name.split(".")[1] not in below] == [], path


@pytest.mark.parametrize("circles_of", ["cc", "tfqz"])
def test_no_circles(circles_of):
    """Among files, within a folder too."""
    edges = {}
    for path in (ROOT / circles_of).rglob("*"):
        if path.suffix == ".py":
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            edges[name] = imported(path) - {name}
        elif path.suffix in (".h", ".cc"):
            edges[str(path.relative_to(ROOT / "cc"))] = set(re.findall(r'^#include "([^"]+)"', path.read_text(), re.M))
    edges = {name: targets & edges.keys() for name, targets in edges.items()}
    while leaves := {name for name, targets in edges.items() if not targets}:
        edges = {name: targets - leaves for name, targets in edges.items() if name not in leaves}
    assert not edges


def imported(path):
    """Modules of tfqz that a file imports when it is imported."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "tfqz":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if is_module(name) else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "tfqz"}
    return found


def is_module(name):
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def test_files_are_short():
    assert [str(path) for path in sources(".py", ".h", ".cc") if len(path.read_text().splitlines()) > 350] == []


def test_public_names():
    """And no others, but for those of Python and the submodules."""
    names = {name for name in dir(tfqz) if not name.startswith("_")}
    assert names - {"keras", "jax"} == set(tfqz.__all__)
