"""Sphinx makes the site of the project's pages where they lie, README.md first: `make docs`."""

import inspect
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no remarks on devices between the warnings

import keras
from docstrings import to_rst

import tfqz
import tfqz.keras

project = "tfqz"
author = copyright = "The tfqz developers"
version = release = tfqz.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinxcontrib.mermaid"]
root_doc = "README"
include_patterns = [
    "README.md",
    "docs/**.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "cc/README.md",
    "examples/serving/README.md",
]
exclude_patterns = [".*", "build"]
source_suffix = {".md": "markdown"}
smartquotes = False
myst_heading_anchors = 4  # as GitHub names them
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["mermaid"]
autodoc_typehints = "none"  # docstrings say it, with shapes
autodoc_inherit_docstrings = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"tfqz {release}"
html_copy_source = False

CONTENTS = """
```{toctree}
:hidden:
:caption: Use

docs/guide/index
docs/gallery
docs/api
docs/performance
docs/reliability
docs/accuracy
```

```{toctree}
:hidden:
:caption: Mathematics

docs/conventions
docs/differentiability
docs/rectangular
```

```{toctree}
:hidden:
:caption: Development

docs/architecture
cc/README
CONTRIBUTING
SECURITY
CHANGELOG
examples/serving/README
```
"""


def setup(app):
    app.connect("source-read", complete)
    app.connect("autodoc-process-docstring", rewrite)
    app.connect("build-finished", copy_index)


def complete(app, docname, source):
    """What has no place in the page itself: the README's contents of the site, and in the reference every public name."""
    if docname == root_doc:
        source[0] += CONTENTS
    if docname == "docs/api":
        source[0] += reference()


def reference():
    public = {name: getattr(tfqz, name) for name in tfqz.__all__}
    layers = {name: value for name, value in vars(tfqz.keras).items() if is_layer(value) and not name.startswith("_")}
    sections = {
        "Functions": [f".. autofunction:: tfqz.{name}" for name, value in public.items() if not inspect.isclass(value)],
        "Keras layers": [f".. autoclass:: tfqz.keras.{name}{arguments(value)}" for name, value in layers.items()],
        "What the functions return": [f".. autoclass:: tfqz.{name}" for name, value in public.items() if inspect.isclass(value)],
    }
    return "\n".join(f"\n## {title}\n\n```{{eval-rst}}\n" + "\n\n".join(lines) + "\n```\n" for title, lines in sections.items())


def is_layer(value):
    return inspect.isclass(value) and issubclass(value, keras.layers.Layer)


def arguments(layer):
    """The signature of its constructor; Sphinx finds that of Keras's."""
    found = inspect.signature(layer.__init__)
    own = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in list(found.parameters.values())[1:]]
    return found.replace(parameters=own, return_annotation=inspect.Signature.empty)


def rewrite(app, what, name, documented, options, lines):
    lines[:] = to_rst(lines)


def copy_index(app, error):
    if not error:
        shutil.copy(app.outdir / f"{root_doc}.html", app.outdir / "index.html")
