"""The annotations of the public functions, as type checkers see them."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
USAGE = ROOT / "tests/typed_usage.py"


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_mypy_knows_right_from_wrong():
    """No complaint about what is right, and those that the file says about what is wrong; TensorFlow has no annotations."""
    options = "--ignore-missing-imports --follow-imports silent --no-error-summary --hide-error-context --cache-dir /dev/null".split()
    done = subprocess.run([sys.executable, "-m", "mypy", *options, USAGE], capture_output=True, text=True, cwd=ROOT)
    found = re.findall(r"typed_usage.py:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    lines = USAGE.read_text().splitlines()
    expected = [(str(i), said[1]) for i, line in enumerate(lines, 1) if (said := re.search(r"\)  # ([\w-]+)$", line))]
    assert sorted(found) == sorted(expected), done.stdout + done.stderr


def test_it_runs():
    exec(compile(USAGE.read_text(), USAGE.name, "exec"), {"__name__": USAGE.stem})
