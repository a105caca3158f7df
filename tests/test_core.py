"""The C++ mathematics by itself: compiled without TensorFlow, run with LAPACK and with drivers that fail, under sanitizers."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import scipy_openblas32
import tensorflow as tf

ROOT = Path(__file__).resolve().parent.parent
WITH_TENSORFLOW = {"ffi.cc", "kernels.cc", "ops.cc", "shapes.cc", "xla.cc"}
SOURCES = [ROOT / "tests/core_test.cc", *(path for path in (ROOT / "cc").glob("*.cc") if path.name not in WITH_TENSORFLOW)]
HIGHWAY = Path(tf.sysconfig.get_include()) / "external" / "com_google_highway"

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")


def run(tmp_path, *flags):
    program, folder = tmp_path / "core_test", scipy_openblas32.get_lib_dir()
    compile_ = ["g++", "-std=c++17", "-O1", "-Wall", "-Werror", f"-I{ROOT / 'cc'}", "-isystem", HIGHWAY, *SOURCES, "-o", program]
    link = [f"-L{folder}", "-lscipy_openblas", f"-Wl,-rpath,{folder}"]
    done = subprocess.run([*compile_, *flags, *link], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_with_lapack_under_sanitizers(tmp_path):
    lines = run(tmp_path, "-fsanitize=address,undefined")
    assert len(lines) == 24
    for line in lines:
        assert float(re.fullmatch(r"\w+ \w+ \d+ residual: (.*)", line).group(1)) < 30, line


def test_failures_carry_routine_and_info(tmp_path):
    rule = "`a`, `b` must be a pencil"
    order = f"{rule} whose eigenvalues can be put in the order of `sort`, and this one is too ill-conditioned"
    expected = []
    for n, driver in ((5, "gges"), (70, "gges3")):
        for dtype, letter in {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}.items():
            said = f"{rule} on which QZ converges; LAPACK's {letter}{driver} returned info = 2"
            expected.append(f"qz {dtype} {n} failure: {said} in batch element [0]")
            expected.append(f"reorder {dtype} {n} failure: {order}; LAPACK's {letter}tgexc returned info = 1 in batch element [0]")
            said = f"`a` must be a matrix on which QR iterations converge; LAPACK's {letter}gees returned info = 2"
            expected.append(f"schur {dtype} {n} failure: {said} in batch element [0]")
    assert run(tmp_path, "-DFAKE_DRIVERS") == expected
