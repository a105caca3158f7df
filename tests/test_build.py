"""The package as it is shipped: an sdist, and the wheel that is built from it."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tensorflow as tf

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "tfqz/libtfqz_core.so"  # where the tests are built in place


@pytest.mark.slow
def test_sdist_and_wheel(tmp_path):
    """The sdist suffices to build the wheel; the wheel has the libraries and their record, and nothing of TensorFlow or OpenBLAS."""
    if shutil.which("g++") is None:
        pytest.skip("no compiler")
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "*.so", "built.json"))
    build = "import setuptools.build_meta as backend; print(backend.build_sdist('dist'))"
    sdist = subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True, text=True)
    archive = source / "dist" / sdist.stdout.split()[-1]
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", tmp_path, archive]
    # It is not run. What takes minutes to compile is taken from here, if the sdist has the very sources of that; the rest compiles so in
    # half the time.
    quickly = os.environ | {"CXXFLAGS": "-O0"} | ({"TFQZ_CORE": str(CORE)} if CORE.exists() else {})
    done = subprocess.run(command, capture_output=True, text=True, env=quickly)
    assert done.returncode == 0, done.stdout + done.stderr

    (wheel,) = tmp_path.glob("*.whl")
    assert "-py3-none-" in wheel.name  # no ABI of CPython's
    with zipfile.ZipFile(wheel) as contents:
        names = contents.namelist()
        record = json.loads(contents.read("tfqz/built.json"))
        metadata = contents.read(next(name for name in names if name.endswith("METADATA"))).decode()
    minor = ".".join(tf.__version__.split(".")[:2])
    assert sorted(name for name in names if ".so" in name) == ["tfqz/libtfqz_core.so", f"tfqz/libtfqz_tf{minor}.so"]
    assert sum(name.endswith(".py") for name in names) == len(list((ROOT / "tfqz").rglob("*.py")))
    assert record["tensorflow"] == {minor: tf.__version__}
    required = [line for line in re.findall("^Requires-Dist: (.*)$", metadata, re.MULTILINE) if "extra" not in line]
    assert not any("tensorflow" in line for line in required)
