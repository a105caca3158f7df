"""The op library: a core without TensorFlow, `libtfqz_core.so`, and for each minor version of TensorFlow that it was built against one with
the ops, such as `libtfqz_tf2.21.so`. The one that fits what runs is loaded."""

import ctypes
import functools
import importlib.metadata
import json
import shlex
import struct
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
    for library in (FOLDER / "libtfqz_core.so", path(), _openblas()):
        if not _is_whole(library):
            return None, f"the file {library} ends before the library does: it was cut off when it was copied; {_remedy()}"
    try:
        # Known by its soname: in an editable install the core's own search path, relative to itself, doesn't reach it.
        ctypes.CDLL(str(_openblas()))
        module = tf.load_op_library(str(path()))
    except (tf.errors.NotFoundError, OSError, ImportError) as error:
        return None, f"the op library {path().name} doesn't load ({str(error).strip()}); {_remedy()}"
    if not hasattr(module, "tfqz_qz"):  # TensorFlow makes functions of an op for the first library that registers it
        return None, "another copy of the op library was loaded before; import tfqz first"
    return module, None


def _openblas():
    """Where OpenBLAS is."""
    import scipy_openblas32

    return Path(scipy_openblas32.get_lib_dir()) / "libscipy_openblas.so"


def _is_whole(library):
    """Whether the file has all that the dynamic linker maps of it: where it hasn't, the process ends by SIGBUS, and nobody says why. True
    for what isn't there, or is no library at all, of which the linker says so."""
    if not library.exists():
        return True
    with library.open("rb") as file:
        header = file.read(64)
        if len(header) < 64 or header[:6] != b"\x7fELF\x02\x01":  # 64 bits, little-endian
            return True
        start, size, count = struct.unpack_from("<Q", header, 32) + struct.unpack_from("<HH", header, 54)
        file.seek(start)
        segments = file.read(size * count)
        length = library.stat().st_size
    if len(segments) < size * count:
        return False
    ends = [_end_of_segment(segments[i * size :]) for i in range(count)]
    return max(ends, default=0) <= length


def _end_of_segment(segment):
    """Of a segment, as ELF describes it, that is mapped: where it ends in the file; else 0."""
    kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", segment)
    return offset + size if kind == 1 else 0


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
