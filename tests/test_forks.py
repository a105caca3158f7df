"""Children of os.fork and of multiprocessing: what TensorFlow lets them do, tfqz does too. In a program of their own, tests/forking.py."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tfqz import _backends


@pytest.mark.slow
@pytest.mark.parametrize("state", ["unused", "used"])
def test_children(state):
    """They compute what their parent does, and to the same bits; `used`: without the threads that TensorFlow had in the parent."""
    if (reason := _backends.native.why_not()) is not None:
        pytest.skip(reason)
    done = subprocess.run([sys.executable, Path(__file__).parent / "forking.py", state], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads(done.stdout.splitlines()[-1])
    assert results == dict.fromkeys(results, 0)
