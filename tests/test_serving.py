"""The C program of examples/serving: its numbers are Python's, and it says what is wrong."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from functionals import gradient, relative_error

import tfqz
from tfqz._backends import library, native

FOLDER = Path(__file__).resolve().parent.parent / "examples/serving"
PENCILS = (FOLDER / "pencils.txt").read_text()
COMPILER = shutil.which("cc") or shutil.which("gcc")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(COMPILER is None, reason="no compiler")]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("serving")


def make(out, backend, target="run"):
    """What `make` prints, which builds what is missing in `out`."""
    variables = {"PYTHON": sys.executable, "CC": COMPILER, "CFLAGS": "-O1 -Werror", "OUT": out, "BACKEND": backend}
    # -j2: the export takes some seconds, and so does the linker, which reads all of TensorFlow's symbols.
    command = ["make", "-s", "-j2", "-C", FOLDER, target, *(f"{name}={value}" for name, value in variables.items())]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def outputs(text):
    """{(signature, output): array} of what the program prints."""
    fields = iter(re.split(r"^(\w+) (\w+)((?: \d+)*)$", text, flags=re.MULTILINE)[1:])
    return {
        (signature, key): np.array(entries.split(), float).reshape([int(size) for size in shape.split()])
        for signature, key, shape, entries in zip(fields, fields, fields, fields)
    }


@pytest.mark.parametrize("backend", ["native", "graph"], indirect=True)
def test_numbers(out, backend):
    count, n, *entries = PENCILS.split()
    a, b = np.array(entries, float).reshape(int(count), 2, int(n), int(n)).swapaxes(0, 1)

    def f(a, b):
        return tf.add_n([tf.reduce_sum(factor) for factor in tfqz.qz(a, b, backend=backend)])

    factors = {("serving_default", key): x for key, x in tfqz.qz(a, b, backend=backend)._asdict().items()}
    derived = dict(zip((("gradient", key) for key in ("value", "da", "db")), (f(a, b), *gradient(f, a, b))))
    got = outputs(make(out, backend))
    assert got.keys() == factors.keys() | derived.keys()
    # TensorFlow's products of matrices round by the shapes that are known when the graph is made.
    bound = 0 if backend == "native" else 1e-14
    for key, x in factors.items():
        assert relative_error([got[key]], [x]) <= bound, key
    for key, x in derived.items():
        assert relative_error([got[key]], [x]) <= max(bound, 1e-15), key


@pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")
@pytest.mark.parametrize(
    "library, text, words",
    [
        ([], PENCILS, r"can't load .*/native: Op type not registered 'Tfqz>"),
        (["nowhere/libtfqz.so"], PENCILS, r"can't load nowhere/libtfqz\.so: .*cannot open shared object file"),
        ([library.path()], PENCILS.replace("4 0 1", "4 nan 1"), r"can't run serving_default: `a` must be finite; .*\[0\]"),
        ([library.path()], PENCILS[:-10], r"pencil 1 must have 2 n\^2 numbers"),
    ],
    ids=["no library", "wrong path", "nan", "cut short"],
)
def test_errors(out, library, text, words):
    make(out, "native", out / "serve")
    make(out, "native", out / "native")
    done = subprocess.run([out / "serve", out / "native", *library], input=text, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.search(rf"^serve: .*{words}", done.stderr, flags=re.MULTILINE), done.stderr
