"""The C++ mathematics by itself: compiled without TensorFlow, run with LAPACK and with drivers that fail, under sanitizers."""

import functools
import os
import re
import shutil
import subprocess
import zipfile

import pytest
from core_build import CHEAP_FOR_VECTORS, IN_VECTORS, OTHERS, ROOT, compile_all, link

SANITIZERS = "-fsanitize=address,undefined"
LETTERS = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}
ITERATING = [path for path in IN_VECTORS if path.stem in {f"{name}_{dtype}" for name in ("lockstep", "qz_iteration") for dtype in LETTERS}]

pytestmark = [pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler"), pytest.mark.slow]


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """From `driver`, a flag for the test program, and whether anything `converges` in vectors, to the program: linked with a static
    library of what knows nothing of TensorFlow, and with LAPACK."""
    folder = tmp_path_factory.mktemp("core")
    common = compile_all(folder, OTHERS, SANITIZERS)

    @functools.cache
    def archive(converges):
        iterating = [] if converges else ITERATING
        in_vectors = compile_all(folder, [path for path in IN_VECTORS if path not in iterating], *CHEAP_FOR_VECTORS)
        in_vectors += compile_all(folder, iterating, *CHEAP_FOR_VECTORS, "-DTFQZ_SWEEPS=0")
        library = folder / f"libtfqz_core_{converges}.a"
        subprocess.run(["ar", "rcs", library, *common, *in_vectors], check=True)
        return library

    def program(driver="-DLAPACK", converges=True, source="core_test"):
        main = compile_all(folder, [ROOT / f"tests/{source}.cc"], SANITIZERS, driver)
        # All of it, whether the program calls it or not: the linker finds everything in LAPACK.
        core = ["-Wl,--whole-archive", archive(converges), "-Wl,--no-whole-archive"]
        return link(folder / f"{source}{driver}{converges}", SANITIZERS, [*main, *core])

    return program


def run(program, *arguments, **environment):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == 0 and "runtime error" not in done.stderr, done.stderr
    return done.stdout.splitlines()


# Those of vectors by themselves are left out where nothing converges.
def assert_right(lines, count=4 + 8 + 24 + 12 + 60 + 80):
    assert len(lines) == count
    for line in lines:
        assert float(re.fullmatch(r"\w+ \w+ \d+ residual: (.*)", line).group(1)) < 30, line


def test_under_sanitizers(build):
    """Each width of vectors that there is, and LAPACK alone."""
    program = build()
    unknown = run(program, TFQZ_SIMD="?")
    names = re.search(r"must be one of (.*) on this machine; got '\?'", "\n".join(unknown)).group(1)
    assert names.startswith("'") and names.endswith("'baseline', 'none'")
    for name in re.findall(r"'(\w+)'", names):
        assert_right(run(program, TFQZ_SIMD=name))


def test_garbage(build):
    """Instead of factors and indices: nothing reads or writes outside its arrays, or goes on for ever. Errors say which seed it was."""
    program = build(source="core_garbage")
    for simd in ("none", ""):
        assert run(program, "300", "0", **({"TFQZ_SIMD": simd} if simd else {})) == ["300 rounds"]


def test_inputs_that_a_fuzzer_found(build, tmp_path):
    """Those that reach what no other reaches, for each target of core_fuzz.cc: `make fuzz-core` finds more."""
    program = build(source="core_fuzz")
    with zipfile.ZipFile(ROOT / "tests/data/core_fuzz.zip") as archive:
        archive.extractall(tmp_path)
    for folder in sorted(tmp_path.iterdir()):
        files = sorted(folder.iterdir())
        assert run(program, folder.name, *files) == [f"{folder.name}: {len(files)} inputs"]


def test_what_does_not_converge_in_vectors_goes_to_lapack(build):
    assert_right(run(build(converges=False)), 4 + 24 + 12 + 60 + 80)


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
