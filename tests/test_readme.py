"""What the README and the documentation say, run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


PAGES = ["README.md", "docs/differentiability.md", "docs/rectangular.md", "docs/architecture.md", "CONTRIBUTING.md", "cc/README.md"]


def blocks(page):
    found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)
    assert found
    return found


def test_code_blocks_of_the_readme_run():
    """Each by itself."""
    for block in blocks("README.md"):
        exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize("page", ["docs/differentiability.md", "docs/rectangular.md"])
def test_code_blocks_of_the_documentation_run(page):
    """One after the other."""
    names = {}
    for i, block in enumerate(blocks(page)):
        exec(compile(block, f"block {i}", "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_links_within_a_page_lead_somewhere(page):
    text = (ROOT / page).read_text()
    headings = [re.sub(r"[^\w -]", "", line.strip("# ").lower()).replace(" ", "-") for line in re.findall(r"^#+ .*$", text, re.MULTILINE)]
    assert [link for link in re.findall(r"\]\(#([^)]*)\)", text) if link not in headings] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    text = (ROOT / page).read_text()
    named = re.findall(r"`((?:tfqz|cc|examples|benchmarks|tests|docs)/[\w/.]+)`", text)
    named += list(re.findall(r"\]\(([\w/.]+)\)", text))
    assert [name for name in named if not (ROOT / name).exists() and not (ROOT / page).parent.joinpath(name).exists()] == []


@pytest.mark.slow
def test_self_check():
    """`python -m tfqz` exits with 0 and tables every dtype."""
    done = subprocess.run([sys.executable, "-m", "tfqz"], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    for dtype in ("float32", "float64", "complex64", "complex128"):
        assert re.search(rf"^scipy\s+{dtype}\s.*ok$", done.stdout, flags=re.MULTILINE)


def test_self_check_notices(monkeypatch, capsys):
    """A wrong gradient or a missing library shows in the exit status."""
    from tfqz._api import selfcheck

    monkeypatch.setattr(selfcheck, "_check", lambda *_: (1.0, 1.0, 1e-1, 1e-6))
    assert selfcheck.main() == 1
    assert "OFF" in capsys.readouterr().out


@pytest.mark.slow
def test_example_runs():
    done = subprocess.run([sys.executable, ROOT / "examples/qz_gradient.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
