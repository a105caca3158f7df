"""Saved models from strangers, in a process of their own: tests/fuzz_saved_model.py, which tells how to run more of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tfqz
from tfqz._backends import native

SCRIPT = Path(__file__).resolve().parent / "fuzz_saved_model.py"
pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")


@pytest.mark.parametrize(
    "count, options",
    [
        (200, []),
        pytest.param(1000, [], marks=pytest.mark.slow),
        pytest.param(40, ["--xla"], marks=pytest.mark.slow),
        pytest.param(50, ["--loaded"], marks=pytest.mark.slow),
    ],
)
def test_mutations(count, options):
    environment = os.environ | {"PYTHONPATH": str(Path(tfqz.__file__).resolve().parent.parent)}  # this tfqz, whichever is installed
    done = subprocess.run([sys.executable, SCRIPT, str(count), "0", *options], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, (done.stdout.splitlines()[-1], done.stderr[-2000:])
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"{count} mutations from 0 on") and "'ran'" in last and "'InvalidArgumentError'" in last
