"""What the README says, run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_code_blocks_run():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_files_that_are_named_exist():
    named = re.findall(r"`((?:tfqz|cc|examples|benchmarks|tests)/[\w/.]+)`", (ROOT / "README.md").read_text())
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_self_check():
    """`python -m tfqz` exits with 0 and tables every dtype."""
    done = subprocess.run([sys.executable, "-m", "tfqz"], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    for dtype in ("float32", "float64", "complex64", "complex128"):
        assert re.search(rf"^scipy\s+{dtype}\s.*ok$", done.stdout, flags=re.MULTILINE)


def test_self_check_notices(monkeypatch, capsys):
    """A wrong gradient or a missing library shows in the exit status."""
    from tfqz import _selfcheck

    monkeypatch.setattr(_selfcheck, "_check", lambda *_: (1.0, 1.0, 1e-1, 1e-6))
    assert _selfcheck.main() == 1
    assert "OFF" in capsys.readouterr().out


@pytest.mark.slow
def test_example_runs():
    done = subprocess.run([sys.executable, ROOT / "examples/qz_gradient.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
