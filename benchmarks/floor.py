"""LAPACK called directly, `floor.cc`: compiled when it is first wanted, against the LAPACK that tfqz uses (one instance of it, so it
has the one BLAS thread that tfqz sets).

The best call is the fastest of four: xGGES and the blocked xGGES3, each with the leading dimension n and with one that is an odd number of
cache lines, which spares powers of two their collisions in the cache.
"""

import atexit
import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from timing import seconds

FOLDER = Path(__file__).resolve().parent
COMPILER = os.environ.get("CXX", "g++")


@functools.cache
def _load():
    """The library and None, or None and the reason."""
    try:
        import scipy_openblas32
    except ImportError:
        return None, "scipy-openblas32 is not installed"
    if shutil.which(COMPILER) is None:
        return None, f"no compiler ({COMPILER})"
    folder = Path(tempfile.mkdtemp(prefix="tfqz-floor-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    library = folder / "floor.so"
    openblas = scipy_openblas32.get_lib_dir()
    link = [f"-L{openblas}", f"-l{scipy_openblas32.get_library()}", f"-Wl,-rpath,{openblas}"]
    command = [COMPILER, "-std=c++17", "-O3", "-shared", "-fPIC", f"-I{FOLDER.parent / 'cc'}", FOLDER / "floor.cc", "-o", library]
    done = subprocess.run([*command, *link], capture_output=True, text=True)
    if done.returncode:
        return None, f"floor.cc doesn't compile: {done.stderr.strip().splitlines()[-1]}"
    return ctypes.CDLL(str(library)), None


def why_not():
    return _load()[1]


def calls(pencils):
    """{name: function} of the four."""
    n, dtype = pencils.n, np.dtype(pencils.dtype)
    a, b = (np.asfortranarray(x) for x in (pencils.a, pencils.b))
    line = 64 // dtype.itemsize
    padded = (-(-n // line) | 1) * line
    function = getattr(_load()[0], f"floor_{dtype.name}")
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in (a, b)]

    def call(leading, blocked):
        info = function(n, leading, blocked, *pointers)
        assert info == 0 and a is not None and b is not None  # the arrays live as long as this does

    return {
        f"{driver}, leading dimension {leading}": functools.partial(call, leading, blocked)
        for blocked, driver in enumerate(("gges", "gges3"))
        for leading in dict.fromkeys((n, padded))
    }


def contenders(pencils):
    """Those of the four that could be the fastest: within a quarter of the one that was."""
    ways = calls(pencils)
    once = {name: min(seconds(way), seconds(way)) for name, way in ways.items()}
    return {name: ways[name] for name in sorted(once, key=once.get) if once[name] <= 1.25 * min(once.values())}


def best(pencils):
    return next(iter(contenders(pencils).values()))
