"""The examples that draw figures (`make demo` runs the other one)."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, options, words",
    [
        ("dsge.py", [], ["of its gradient", "-inf, gradient 0", "log-likelihood: ", "posterior", "estimate"]),
        ("inverse_eigenvalues.py", ["--quick"], ["100/100", "largest relative error"]),
        ("lqr.py", [], ["11 starts", "200/200", "Lowest of a scan", "simulated", "relative error"]),
        ("modes.py", [], ["rank = 5", "rank = 3", "standard errors", "df/dgain", "relative error"]),
    ],
)
def test_example(name, options, words, tmp_path):
    figure = tmp_path / "figure.png"
    done = subprocess.run([sys.executable, EXAMPLES / name, *options, "--figure", figure], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(word in done.stdout for word in words)
    if importlib.util.find_spec("matplotlib"):
        assert figure.stat().st_size > 10000
    else:
        assert "no figure: matplotlib is not installed" in done.stdout
