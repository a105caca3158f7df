"""Memory that isn't there is an error of TensorFlow's, and nothing else: in programs of their own, tests/starved.py."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tfqz import _backends

FOLDER = Path(__file__).parent
FAST = ["qz", "batch", "forked", "threads"]
SLOW = ["forked_rectangular", "apart", "order", "vectors", "subspace", "rank", "balance", "function", "jit", "jit_forked"]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    if (reason := _backends.native.why_not()) is not None:
        pytest.skip(reason)
    if shutil.which("g++") is None:
        pytest.skip("no compiler")
    path = tmp_path_factory.mktemp("starved") / "starved.so"
    subprocess.run(["g++", "-shared", "-fPIC", "-O1", FOLDER / "starved.cc", "-o", path], check=True)
    return path


def results_of(*names, **environment):
    done = subprocess.run(
        [sys.executable, FOLDER / "starved.py", *names], capture_output=True, text=True, env=os.environ | environment, cwd=FOLDER.parent
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = {result["name"]: result for result in map(json.loads, done.stdout.splitlines())}
    assert list(results) == list(names)
    return results


@pytest.mark.parametrize("names", [FAST, pytest.param(SLOW, marks=pytest.mark.slow)], ids=["a few", "the others"])
def test_each_allocation(names, library):
    """One after the other is the first that isn't granted, in the op's thread, TensorFlow's, one of its own, and XLA's."""
    for name, result in results_of(*names, LD_PRELOAD=str(library)).items():
        raised = result["raised"]
        assert "no room for the workspace" in raised.pop("text"), name
        # Without room to ask for another thread the work is done in this one.
        assert raised.pop("nothing", 0) <= 2, name
        assert set(raised) == {"ResourceExhaustedError"} and raised["ResourceExhaustedError"] >= 10, name
        assert result["same"], name


@pytest.mark.slow
def test_address_space():
    """RLIMIT_AS: of the same calls some fail, in TensorFlow's own allocations too, and some don't."""
    fixed = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), "65536")  # what is freed is given back
    (result,) = results_of("address_space", **fixed).values()
    assert set(result["raised"]) == {"ResourceExhaustedError", "nothing"} and result["same"]


def test_more_threads_than_buffers():
    """OpenBLAS ends the process where it has no buffer for another thread."""
    (result,) = results_of("crowd", MALLOC_ARENA_MAX="1").values()
    assert result["same"]
