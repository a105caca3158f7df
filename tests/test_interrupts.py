"""Ctrl-C, and TensorFlow's cancellation, in the middle of long calls. What is interrupted is a program of its own, tests/interrupted.py."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tfqz import _backends

SLOW = ["batch", "schur", "gradient", "solver", "function", "jit", "own_handler", "ignored", "cancelled"]


# OpenBLAS's buffers are gone long before the process is.
SLOW_END = """
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

int munmap(void* address, size_t length) {
  const long result = syscall(SYS_munmap, address, length);
  if (length == (size_t)32 << 20) usleep(200000);
  return (int)result;
}
"""


def results_of(*names, **environment):
    if (reason := _backends.native.why_not()) is not None:
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / "interrupted.py", *names],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr
    return {result["name"]: result for result in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def slow_results():
    return results_of(*SLOW)


def assert_interrupted(result):
    """Long before the end; the process works, and a second signal finds the handler that there was."""
    assert result["after"] < result["whole"] / 2
    assert result["noticed"] and result["put_back"] and result["right"] and result["again"]


def test_a_pencil():
    result = results_of("eager")["eager"]
    assert result["raised"] == "KeyboardInterrupt"
    assert_interrupted(result)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler")
def test_end_of_the_program(tmp_path):
    """While what was interrupted still computes, in memory that OpenBLAS gives back."""
    source, library = tmp_path / "slow_end.c", tmp_path / "slow_end.so"
    source.write_text(SLOW_END)
    subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", library], check=True)
    assert results_of("large", LD_PRELOAD=str(library))["large"]["raised"] == "KeyboardInterrupt"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["batch", "schur", "gradient", "solver"])
def test_eager(name, slow_results):
    assert slow_results[name]["raised"] == "KeyboardInterrupt"
    assert_interrupted(slow_results[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["function", "jit"])
def test_functions(name, slow_results):
    """Up to Python 3.11 TensorFlow makes another exception of it."""
    result = slow_results[name]
    assert result["raised"] == ("KeyboardInterrupt" if sys.version_info >= (3, 12) else "RuntimeError")
    assert result["raised"] == "KeyboardInterrupt" or "KeyboardInterrupt" in result["text"]
    assert_interrupted(result)


@pytest.mark.slow
def test_a_handler_that_does_not_raise(slow_results):
    result = slow_results["own_handler"]
    assert result["raised"] == "CancelledError" and "interrupted" in result["text"]
    assert result["calls"] == 2  # of the second signal as well
    assert_interrupted(result | {"again": True})


@pytest.mark.slow
def test_ignored(slow_results):
    result = slow_results["ignored"]
    assert result["raised"] is None and result["right"] and not result["noticed"]


@pytest.mark.slow
def test_cancelled(slow_results):
    pytest.importorskip("tensorflow.python.eager.cancellation")
    assert slow_results["cancelled"]["raised"] == "CancelledError"
    assert_interrupted(slow_results["cancelled"])
