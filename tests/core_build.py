"""Compiles what knows nothing of TensorFlow, and drivers for it: for test_core.py, test_core_threads.py and core_fuzzing.py."""

import concurrent.futures
import importlib.util
import os
import subprocess
from pathlib import Path

import scipy_openblas32

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [path for folder in ("pencil", "vectors", "algorithms") for path in sorted((ROOT / "cc" / folder).glob("*.cc"))]
IN_VECTORS = [path for path in SOURCES if path.name.startswith(("lockstep_", "qz_iteration_"))]
OTHERS = [path for path in SOURCES if path not in IN_VECTORS]
EXTERNAL = Path(importlib.util.find_spec("tensorflow").origin).parent / "include/external"
HIGHWAY = [f"-isystem{EXTERNAL / name}" for name in ("com_google_highway", "highway") if (EXTERNAL / name).exists()]
FLAGS = ["-std=c++17", "-O1", "-Wall", "-Werror", f"-I{ROOT / 'cc'}", *HIGHWAY]
# What uses a vector that has no value yet gets NaN.
NO_VALUE = "-DTFQZ_LANES_BEGIN_AS_NAN"
# What compiles in seconds; with the other sanitizer, or optimised, vectors take minutes.
CHEAP_FOR_VECTORS = ("-O0", "-fsanitize=address", NO_VALUE)


def compile_all(folder, sources, *flags, compiler="g++"):
    """The object files, in that folder, whose names the last flag is part of; what is newer than everything that there is stays."""
    objects = [folder / f"{path.stem}{flags[-1]}.o" for path in sources]
    newest = max(path.stat().st_mtime for place in ("cc", "tests") for path in (ROOT / place).rglob("*") if path.suffix in (".h", ".cc"))

    def compile_one(path, to):
        if to.exists() and to.stat().st_mtime > newest:
            return
        done = subprocess.run([compiler, *FLAGS, *flags, "-c", path, "-o", to], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("MAX_JOBS", os.cpu_count()))) as pool:
        list(pool.map(compile_one, sources, objects))
    return objects


def link(program, sanitizers, objects, compiler="g++"):
    """The program, with LAPACK."""
    libraries = scipy_openblas32.get_lib_dir()
    openblas = [f"-L{libraries}", "-lscipy_openblas", f"-Wl,-rpath,{libraries}"]
    done = subprocess.run([compiler, sanitizers, *objects, "-o", program, *openblas, "-pthread"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program
