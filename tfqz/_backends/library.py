"""The op library: a core without TensorFlow, `libtfqz_core.so`, and for each minor version of TensorFlow that it was built against one with
the ops, such as `libtfqz_tf2.21.so`. The one that fits what runs is loaded."""

import ctypes
import functools
import importlib.metadata
import json
import shlex
import sys
import urllib.parse
from pathlib import Path

import tensorflow as tf

FOLDER = Path(__file__).resolve().parent.parent
_OPENBLAS = "scipy-openblas32"


def path():
    """Where the library for the TensorFlow that runs is, or would be."""
    return FOLDER / f"libtfqz_tf{_minor(tf.__version__)}.so"


def versions():
    """What the libraries were built against, and what runs: {text: version}."""
    record = _record()
    return {
        "built against TensorFlow": ", ".join(record.get("tensorflow", {}).values()) or "?",
        f"built against {_OPENBLAS}": record.get("scipy_openblas32", "?"),
        f"runs with {_OPENBLAS}": _openblas_version() or "none",
    }


@functools.cache
def load():
    """The module of the ops and None, or None and the reason why there is none, with the remedy."""
    there = _record().get("tensorflow", {})
    if not there:
        return None, f"the op library was not built; {_remedy()}"
    if _minor(tf.__version__) not in there:
        built = " and ".join(there.values())
        return None, f"the op library was built against TensorFlow {built}, and TensorFlow {tf.__version__} is running; {_remedy()}"
    if _openblas_version() is None:
        return None, f"{_OPENBLAS}, which has LAPACK, is not installed; run `{_pip()} install {_OPENBLAS}`"
    try:
        _load_openblas()
        module = tf.load_op_library(str(path()))
    except (tf.errors.NotFoundError, OSError, ImportError) as error:
        return None, f"the op library {path().name} doesn't load ({str(error).strip()}); {_remedy()}"
    if not hasattr(module, "tfqz_qz"):  # TensorFlow makes functions of an op for the first library that registers it
        return None, "another copy of the op library was loaded before; import tfqz first"
    return module, None


def _load_openblas():
    """Makes OpenBLAS known to the dynamic linker by its soname: in an editable install the core's own search path,
    relative to itself, doesn't reach it."""
    import scipy_openblas32

    ctypes.CDLL(str(Path(scipy_openblas32.get_lib_dir()) / "libscipy_openblas.so"))


def _openblas_version():
    """The version of scipy-openblas32, a string, or None."""
    try:
        return importlib.metadata.version(_OPENBLAS)
    except importlib.metadata.PackageNotFoundError:
        return None


def _minor(version):
    """Of "2.21.0" what comes before the second point."""
    return ".".join(version.split(".")[:2])


@functools.cache
def _record():
    """What `built.json` says that the libraries were built from, a dict; empty if there are none."""
    record = FOLDER / "built.json"
    return json.loads(record.read_text()) if record.exists() else {}


def _remedy():
    """What to do where no library fits, for error messages: a command that builds one against the TensorFlow that is installed."""
    needed = f'{_pip()} install "setuptools>=77" {_OPENBLAS}'
    return f"run `{needed}` and `{_pip()} install --force-reinstall --no-deps --no-build-isolation {_source()}`"


def _pip():
    return f"{shlex.quote(sys.executable)} -m pip"


def _source():
    """What pip installed tfqz from, as its argument: the folder where there was one."""
    try:
        origin = importlib.metadata.distribution("tfqz").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return shlex.quote(str(FOLDER.parent))
    if origin is None:
        return "--no-binary tfqz tfqz"
    origin = json.loads(origin)
    url = origin["url"]
    folder = shlex.quote(urllib.parse.unquote(url.removeprefix("file://"))) if url.startswith("file://") else url
    return f"--editable {folder}" if origin.get("dir_info", {}).get("editable") else folder
