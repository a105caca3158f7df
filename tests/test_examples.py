"""The example that draws a figure (`make demo` runs the other one)."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parent.parent / "examples/inverse_eigenvalues.py"


@pytest.mark.slow
def test_inverse_eigenvalues(tmp_path):
    figure = tmp_path / "figure.png"
    command = [sys.executable, EXAMPLE, "--quick", "--figure", figure]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "100/100" in done.stdout and "largest relative error" in done.stdout
    if importlib.util.find_spec("matplotlib"):
        assert figure.stat().st_size > 10000
    else:
        assert "no figure: matplotlib is not installed" in done.stdout
