"""What the README and the documentation say: their code runs, their links lead somewhere."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tfqz

ROOT = Path(__file__).resolve().parent.parent
SITE = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
PAGES = ["README.md", *SITE, "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "cc/README.md", "examples/serving/README.md"]
# Those that compile for XLA, or save and load graphs of unknown shapes, or look at pencils closely.
_SLOW = "differentiability guide/backends guide/riccati guide/samplers guide/serving guide/solvers guide/well-defined guide/xla"
SLOW = [f"docs/{name}.md" for name in _SLOW.split()]
# What a page is about and the tests don't require.
NEEDS = {"docs/guide/jax.md": "jax"}


def text_of(page):
    return (ROOT / page).read_text()


def code_of(page):
    """The Python of a page in its lines, all others empty, so that errors name the page's lines."""
    lines, inside = [], False
    for line in text_of(page).splitlines():
        fence = line.startswith("```")
        inside = (line == "```python") if fence else inside
        lines.append(line if inside and not fence else "")
    return "\n".join(lines)


def prose_of(page):
    """Without code."""
    return re.sub(r"```.*?^```|`[^`\n]*`", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def with_code():
    pages = [page for page in PAGES if code_of(page).strip()]
    return [pytest.param(page, marks=pytest.mark.slow if page in SLOW else ()) for page in pages]


@pytest.mark.parametrize("page", with_code())
def test_code_runs(page, tmp_path):
    """Blocks one after the other. From a file, as AutoGraph wants it."""
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])
    file = tmp_path / "page.py"
    file.write_text(code_of(page))
    exec(compile(file.read_text(), str(file), "exec"), {"__name__": "page"})


def test_recipes_have_code_that_asserts():
    recipes = [page for page in SITE if page.startswith("docs/guide/") and Path(page).stem != "index"]
    assert [page for page in recipes if "assert " not in code_of(page)] == []


def anchors(page):
    """What GitHub, and the site, call the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if re.match(r"https?://", link):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent.joinpath(file).resolve() if file else ROOT / page
        known = target.is_file() and target.is_relative_to(ROOT)
        if not known or (anchor and anchor not in anchors(target.relative_to(ROOT))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    named = re.findall(r"`((?:tfqz|cc|examples|benchmarks|tests|docs)/[\w/.-]+)`", text_of(page))
    built = {"tfqz/libtfqz_core.so", "tfqz/built.json"}
    assert [name for name in named if name not in built and not (ROOT / name).exists()] == []


def test_pages_can_be_reached():
    """From the README, by links."""
    seen, pages = {"README.md"}, ["README.md"]
    while pages:
        page = pages.pop()
        links = re.findall(r"\]\(([^)\s#:]+\.md)", prose_of(page))
        found = {os.path.normpath(Path(page).parent / link) for link in links} & set(PAGES) - seen
        seen |= found
        pages += found
    assert set(PAGES) - seen == set()


def test_the_gallery_has_every_example():
    examples = [path.name for path in (ROOT / "examples").iterdir() if path.suffix in (".py", ".png")]
    assert [name for name in examples if f"](../examples/{name})" not in text_of("docs/gallery.md")] == []


def test_the_readme_is_a_page():
    assert len(text_of("README.md").splitlines()) <= 200


def test_every_public_function_is_in_the_readme():
    functions = [name for name in tfqz.__all__ if name.islower()]
    assert [name for name in functions if not re.search(rf"`tfqz\.{name}\b", text_of("README.md"))] == []


@pytest.fixture(scope="module")
def docstrings():
    """docs/docstrings.py, which needs no generator."""
    specification = importlib.util.spec_from_file_location("docstrings", ROOT / "docs/docstrings.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_docstrings_in_the_reference(docstrings):
    text = """Of `x` and |y|.

    This way:

        f(x)

        g(x_)

    Args:
      a, b: numbers, as for `tfqz.qz`.
      sort: which.
        "lhp": those
          on the left.
        others: none.

    References:
      G. W. Stewart, 1990."""
    expected = r"""Of ``x``\  and \|y\|.

This way:

::

    f(x)

    g(x_)

:Args:

   **a, b**
      numbers, as for :py:obj:`tfqz.qz`\ .

   **sort**
      which.

      - "lhp": those
        on the left.

      others: none.

:References:

   \G. W. Stewart, 1990."""
    lines = [line.removeprefix("    ") for line in text.splitlines()]
    found = "\n".join(docstrings.to_rst(lines))
    assert re.sub(r"\n{3,}", "\n\n", found).strip() == expected


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
