"""The C++ mathematics by itself: compiled without TensorFlow, run with LAPACK and with drivers that fail, under sanitizers."""

import concurrent.futures
import functools
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import scipy_openblas32

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [path for folder in ("pencil", "vectors", "algorithms") for path in sorted((ROOT / "cc" / folder).glob("*.cc"))]
EXTERNAL = Path(importlib.util.find_spec("tensorflow").origin).parent / "include/external"
HIGHWAY = [f"-isystem{EXTERNAL / name}" for name in ("com_google_highway", "highway") if (EXTERNAL / name).exists()]
FLAGS = ["-std=c++17", "-O1", "-Wall", "-Werror", f"-I{ROOT / 'cc'}", *HIGHWAY]
SANITIZERS = "-fsanitize=address,undefined"
LETTERS = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}

pytestmark = [pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler"), pytest.mark.slow]


def compile_all(folder, sources, *flags):
    """The object files."""
    objects = [folder / f"{path.stem}{flags[-1]}.o" for path in sources]

    def compile_one(path, to):
        done = subprocess.run(["g++", *FLAGS, *flags, "-c", path, "-o", to], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, sources, objects))
    return objects


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """From `driver`, a flag for the test program, and whether anything `converges` in vectors, to the program: linked with a static
    library of what knows nothing of TensorFlow, and with LAPACK."""
    folder = tmp_path_factory.mktemp("core")
    iterating = [path for path in SOURCES if path.name.startswith(("lockstep_", "qz_iteration_"))]
    common = compile_all(folder, [path for path in SOURCES if path not in iterating], SANITIZERS)

    @functools.cache
    def archive(converges):
        # What compiles in seconds; with the other sanitizer, or optimised, vectors take minutes. What uses a vector that has no value yet
        # gets NaN.
        flags = ["-O0", "-fsanitize=address", "-DTFQZ_LANES_BEGIN_AS_NAN", *([] if converges else ["-DTFQZ_SWEEPS=0"])]
        in_vectors = compile_all(folder, iterating, *flags)
        library = folder / f"libtfqz_core_{converges}.a"
        subprocess.run(["ar", "rcs", library, *common, *in_vectors], check=True)
        return library

    def link(driver="-DLAPACK", converges=True, source="core_test"):
        program = folder / f"{source}{driver}{converges}"
        main = compile_all(folder, [ROOT / f"tests/{source}.cc"], SANITIZERS, driver)
        # All of it, whether the program calls it or not: the linker finds everything in LAPACK.
        core = ["-Wl,--whole-archive", archive(converges), "-Wl,--no-whole-archive"]
        libraries = scipy_openblas32.get_lib_dir()
        openblas = [f"-L{libraries}", "-lscipy_openblas", f"-Wl,-rpath,{libraries}"]
        subprocess.run(["g++", SANITIZERS, *main, *core, "-o", program, *openblas], check=True)
        return program

    return link


def run(program, *arguments, **environment):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == 0 and "runtime error" not in done.stderr, done.stderr
    return done.stdout.splitlines()


def assert_right(lines, count=4 + 24 + 12 + 60 + 80):
    assert len(lines) == count
    for line in lines:
        assert float(re.fullmatch(r"\w+ \w+ \d+ residual: (.*)", line).group(1)) < 30, line


def test_under_sanitizers(build):
    """Each width of vectors that there is, and LAPACK alone."""
    program = build()
    unknown = run(program, TFQZ_SIMD="?")
    names = re.search(r"must be one of (.*) on this machine; got '\?'", "\n".join(unknown)).group(1)
    assert names.startswith("'") and names.endswith("'none'")
    for name in re.findall(r"'(\w+)'", names):
        assert_right(run(program, TFQZ_SIMD=name))


def test_garbage(build):
    """Instead of factors and indices: nothing reads or writes outside its arrays, or goes on for ever. Errors say which seed it was."""
    program = build(source="core_garbage")
    for simd in ("none", ""):
        assert run(program, "300", "0", **({"TFQZ_SIMD": simd} if simd else {})) == ["300 rounds"]


def test_what_does_not_converge_in_vectors_goes_to_lapack(build):
    assert_right(run(build(converges=False)))


def test_failures_carry_routine_and_info(build):
    """Of LAPACK, where neither converges; eigenvalues are exchanged without it."""
    rule = "`a`, `b` must be a pencil"
    order = f"{rule} whose eigenvalues can be put in the order of `sort`, and this one is too ill-conditioned"
    expected = []
    for n, driver in ((5, "gges"), (70, "gges3")):
        for dtype, letter in LETTERS.items():
            said = f"{rule} on which QZ converges; LAPACK's {letter}{driver} returned info = 2"
            expected.append(f"qz {dtype} {n} failure: {said} in batch element [0]")
            expected.append(f"reorder {dtype} {n} failure: {order}; LAPACK's {letter}tgexc returned info = 1 in batch element [0]")
            said = f"`a` must be a matrix on which QR iterations converge; LAPACK's {letter}gees returned info = 2"
            expected.append(f"schur {dtype} {n} failure: {said} in batch element [0]")
    for m in (4, 8, 45, 110):
        for dtype, letter in LETTERS.items():
            said = f"`b` must be a matrix whose singular value decomposition converges; LAPACK's {letter}gesdd returned info = 2"
            expected.append(f"svd {dtype} {m} failure: {said} in batch element [0]")
    lines = run(build("-DFAKE_DRIVERS", converges=False))
    assert [line for line in lines if not line.startswith("exchange")] == expected
    assert_right([line for line in lines if line.startswith("exchange")], 60)
