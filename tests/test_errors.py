"""What bad input gets: the exception, and its words, from every backend."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cases
import numpy as np
import pytest
import tensorflow as tf
from functionals import deviates, gradient

import tfqz
from tfqz import _backends
from tfqz._api import selfcheck
from tfqz._backends import graph, iteration, library, native

INVALID = tf.errors.InvalidArgumentError
SHAPES = [
    ((3, 4), (3, 3), "`b` must have the same inner shape as `a`; got (3, 4) and (3, 3)"),
    ((3, 4), (4, 3), "`b` must have the same inner shape as `a`; got (3, 4) and (4, 3)"),
    ((3,), (3, 3), "`a` must be a matrix or a batch of them, [..., m, n]; got (3,) and (3, 3)"),
    ((3, 3), (), "`b` must be a matrix or a batch of them, [..., m, n]; got (3, 3) and ()"),
    ((2, 3, 3), (4, 4), "`b` must have the same inner shape as `a`; got (2, 3, 3) and (4, 4)"),
    ((2, 3, 3), (5, 3, 3), "`a` and `b` must have batch shapes that broadcast; got (2, 3, 3) and (5, 3, 3)"),
]


@pytest.mark.parametrize("a, b, words", SHAPES)
def test_static_shapes(a, b, words, backend):
    with pytest.raises(ValueError, match=re.escape(words)):
        tfqz.qz(np.ones(a), np.ones(b), backend=backend)


def plain(text):
    """Without the brackets and commas that TensorFlow's Assert puts around and into its data."""
    return " ".join(re.sub(r"[][(),;\\]", " ", text).split())


@pytest.mark.slow_if(*(f"{backend}-a{i}" for backend in ("scipy", "graph") for i in range(1, 6)))
@pytest.mark.parametrize("a, b, words", SHAPES)
def test_shapes_known_late(a, b, words, backend):
    unknown = tf.TensorSpec(None, tf.float64)
    function = tf.function(lambda a, b: tfqz.qz(a, b, backend=backend), input_signature=[unknown, unknown])
    with pytest.raises(INVALID) as error:
        function(tf.ones(a, tf.float64), tf.ones(b, tf.float64))
    assert plain(words) in plain(str(error.value))


@pytest.mark.parametrize("a, b", [("float32", "float64"), ("float64", "complex128")])
def test_dtypes(a, b, backend):
    words = f"`a` and `b` must have the same dtype, one of float32, float64, complex64, complex128; got {a} and {b}"
    with pytest.raises(TypeError, match=re.escape(words)):
        tfqz.qz(tf.ones((2, 2), a), tf.ones((2, 2), b), backend=backend)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"output": "schur"}, "`output` must be one of 'real', 'r', 'complex', 'c'; got 'schur'"),
        ({"on_failure": "ignore"}, "`on_failure` must be one of 'raise', 'nan'; got 'ignore'"),
        ({"backend": "lapack"}, "`backend` must be one of 'native', 'scipy', 'graph'; got 'lapack'"),
    ],
)
def test_options(arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        tfqz.qz(np.eye(2), np.eye(2), **arguments)


def wrappers():
    return [lambda f: f, tf.function]


@pytest.mark.slow_if("graph-b", "graph-a-inf", "graph-a--inf")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("culprit", ["a", "b"])
def test_not_finite(culprit, value, backend, rng):
    pencil = {"a": deviates(rng, (2, 3, 4, 4), "float64"), "b": deviates(rng, (2, 3, 4, 4), "float64")}
    pencil[culprit][1, 0, 3, 1] = pencil[culprit][1, 2, 0, 0] = value  # the first one is named
    for wrap in wrappers():
        with pytest.raises(INVALID) as error:
            wrap(lambda a, b: tfqz.qz(a, b, backend=backend))(pencil["a"], pencil["b"])
        assert plain(f"`{culprit}` must be finite; got NaN or Inf in batch element [1, 0]") in plain(str(error.value))
    with pytest.raises(INVALID, match=rf"`{culprit}` must be finite; got NaN or Inf(?! in batch)"):
        tfqz.qz(pencil["a"][1, 0], pencil["b"][1, 0], backend=backend)


@pytest.mark.parametrize("dtype", cases.NOT_CONVERGING.dtypes)
def test_no_convergence(dtype, backend, monkeypatch):
    """LAPACK's real QZ iteration goes round in circles on this pencil."""
    monkeypatch.setenv("TFQZ_SIMD", "none")  # it converges in lockstep
    if backend == "graph":
        pytest.skip("converges: test_no_convergence_in_few_sweeps")
    a, b = cases.NOT_CONVERGING(dtype)
    letter = {"float32": "s", "float64": "d"}[dtype]
    words = rf"`a`, `b` must be a pencil on which QZ converges; LAPACK's {letter}gges3? returned info = \d+"
    for wrap in wrappers():
        with pytest.raises(INVALID, match=words):
            wrap(lambda a, b: tfqz.qz(a, b, backend=backend))(a, b)
        with pytest.raises(INVALID, match=words + r" in batch element \[1\]"):
            wrap(lambda a, b: tfqz.qz(a, b, backend=backend))(np.stack([b, a, a]), b)


@pytest.mark.slow
def test_no_convergence_in_few_sweeps(monkeypatch, rng):
    """No pencil is known that needs the sweeps that are allowed: fewer for this test."""
    few = tf.function(graph.factorize_or_tell.__wrapped__)
    monkeypatch.setattr(iteration, "SWEEPS", 0)
    monkeypatch.setattr(graph, "factorize_or_tell", few)
    a, b = deviates(rng, (3, 6, 6), "float64"), np.eye(6)
    a[0] = np.diag(np.arange(6))
    words = "`a`, `b` must be a pencil on which QZ converges; backend graph gave up after 30 n sweeps in batch element [1]"
    for wrap in wrappers():
        with pytest.raises(INVALID) as error:
            wrap(lambda a, b: tfqz.qz(a, b, backend="graph"))(a, b)
        assert plain(words) in plain(str(error.value))
    s = tfqz.qz(a, b, backend="graph", on_failure="nan").s
    assert np.isnan(s[1:]).all() and np.array_equal(tf.linalg.diag_part(s[0]), np.arange(6))


def test_nan_fills_the_failing_elements_alone(backend, rng, monkeypatch):
    monkeypatch.setenv("TFQZ_SIMD", "none")  # LAPACK fails where lockstep doesn't
    a, b = deviates(rng, (4, 4, 4), "float64"), deviates(rng, (4, 4, 4), "float64")
    good = tfqz.qz(a, b, backend=backend)
    weights = [deviates(rng, (4, 4, 4), "float64") for _ in range(4)]

    def f(a, b):
        factors = tfqz.qz(a, b, backend=backend, on_failure="nan")
        return tf.add_n([tf.reduce_sum(w * tf.gather(x, [0, 2])) for w, x in zip([w[:2] for w in weights], factors)])

    expected = gradient(f, a, b)
    a[1], b[1] = cases.NOT_CONVERGING("float64")
    if backend == "graph":  # which converges there
        a[1, 2, 3] = np.nan
    b[3, 0, 0] = np.inf
    for got, reference in zip(tfqz.qz(a, b, backend=backend, on_failure="nan"), good):
        assert np.isnan(got[1]).all() and np.isnan(got[3]).all()
        assert np.array_equal(got[0], reference[0]) and np.array_equal(got[2], reference[2])
    for got, reference in zip(gradient(f, a, b), expected):
        assert np.array_equal(got[[0, 2]], reference[[0, 2]])


def run(code, **environment):
    """What Python says of it, `TFQZ_BACKEND` being unset unless the environment has it."""
    return _run("-W", "always", "-c", code, **environment)


def run_module(folder):
    """The same of the self-check of the package in a folder."""
    return _run("-m", "tfqz", PYTHONPATH=os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]), cwd=folder)


def _run(*arguments, cwd=None, **environment):
    clean = {name: value for name, value in os.environ.items() if name != _backends.VARIABLE}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=clean | environment, cwd=cwd)


WITHOUT_LIBRARY = """
from pathlib import Path
from tfqz._backends import library
library.FOLDER = Path("/nowhere/tfqz")
library._record.cache_clear(), library.load.cache_clear()
import numpy as np, tfqz
for _ in range(2):
    print(tfqz.qz(np.eye(2), np.eye(2)).s.shape)
"""


@pytest.mark.slow
def test_missing_library_falls_back_with_one_warning():
    done = run(WITHOUT_LIBRARY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(2, 2)") == 2
    assert done.stderr.count("RuntimeWarning: tfqz falls back") == 1
    assert "the op library was not built; run `" in done.stderr


@pytest.mark.slow
def test_missing_library_is_an_error_if_it_was_asked_for():
    done = run(WITHOUT_LIBRARY, TFQZ_BACKEND="native")
    assert done.returncode != 0
    assert "RuntimeError: `backend` must be one that loads; got 'native': the op library" in done.stderr


def without_library(monkeypatch):
    """As if the op library didn't load, and nobody had been warned."""
    monkeypatch.delenv(_backends.VARIABLE, raising=False)
    monkeypatch.setattr(native, "why_not", lambda: "it is on holiday")
    monkeypatch.setattr(_backends, "_warned", set())


@pytest.mark.parametrize(
    "call",
    [
        lambda: tfqz.qz(np.eye(2), np.eye(2)),
        lambda: tfqz.eigvals(np.eye(2), np.eye(2)),
        lambda: tf.function(lambda a: tfqz.schur(a))(np.eye(2)),
        lambda: tf.function(lambda a: tfqz.schur(a), autograph=False)(np.eye(2)),
        lambda: tf.map_fn(lambda a: tfqz.schur(a).t, np.eye(2)[None]),
        lambda: tfqz.keras.QZ(),
    ],
)
def test_the_warning_is_about_the_line_of_the_user(call, monkeypatch):
    without_library(monkeypatch)
    with pytest.warns(RuntimeWarning, match="tfqz falls back to the slower backend 'scipy': it is on holiday") as warned:
        call()
    (warning,) = warned.list
    assert (warning.filename, warning.lineno) == (__file__, call.__code__.co_firstlineno)


def test_the_self_check_says_what_is_missing(monkeypatch, capsys):
    """And is content without it where the environment is."""
    monkeypatch.setattr(selfcheck, "_check", lambda *_: (0, 0, 0, 1))
    assert native.why_not() is not None or (selfcheck.main() == 0 and "All is well." in capsys.readouterr().out)
    without_library(monkeypatch)
    assert selfcheck.main() == 1
    last = capsys.readouterr().out.split("\n\n")[-1]
    assert "The op library does not load: it is on holiday." in last and "TFQZ_BACKEND=scipy" in last and "well" not in last
    monkeypatch.setenv(_backends.VARIABLE, "scipy")
    assert selfcheck.main() == 0 and "All is well." in capsys.readouterr().out
    monkeypatch.setenv(_backends.VARIABLE, "native")
    assert selfcheck.main() == 1 and "got 'native': it is on holiday" in capsys.readouterr().out


@pytest.mark.slow
def test_the_self_check_of_a_broken_library(tmp_path):
    """Of a copy of the package with hardly anything of the library."""
    package = shutil.copytree(Path(tfqz.__file__).parent, tmp_path / "tfqz", ignore=shutil.ignore_patterns("__pycache__"))
    (package / library.path().name).write_bytes(b"\x7fELF")
    done = run_module(tmp_path)
    assert done.returncode == 1, done.stderr
    assert "The op library does not load: " in done.stdout and "All is well." not in done.stdout
    assert not [word for word in ("Traceback", "RuntimeWarning") if word in done.stderr]


def test_without_tensorflow():
    """One error that says how to get either of the two."""
    done = run("import sys; sys.modules['tensorflow'] = None; import tfqz")
    assert done.returncode != 0
    assert re.search(
        r"\nImportError: tfqz needs TensorFlow.*`pip install 'tensorflow>=.*`pip install 'tensorflow-cpu>=.*`$", done.stderr.strip()
    )
    assert "During handling" not in done.stderr


def test_unknown_backend_in_the_environment(monkeypatch):
    monkeypatch.setenv(_backends.VARIABLE, "fortran")
    with pytest.raises(ValueError, match="`TFQZ_BACKEND` must be one of 'native', 'scipy', 'graph'; got 'fortran'"):
        tfqz.qz(np.eye(2), np.eye(2))


def test_environment_chooses(monkeypatch):
    for name, module in _backends.BACKENDS.items():
        monkeypatch.setenv(_backends.VARIABLE, name)
        if module.why_not() is None:
            assert _backends.choose() is module


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """A folder in which the op library is looked for anew."""
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    library.load.cache_clear(), library._record.cache_clear()
    yield tmp_path
    library.load.cache_clear(), library._record.cache_clear()


def test_library_of_another_tensorflow(elsewhere):
    """Names those that there are, the one that runs, and the remedy."""
    (elsewhere / "built.json").write_text(json.dumps({"tensorflow": {"1.4": "1.4.2", "1.5": "1.5.0"}}))
    reason = library.load()[1]
    assert f"built against TensorFlow 1.4.2 and 1.5.0, and TensorFlow {tf.__version__} is running; run `" in reason
    assert "-m pip install" in reason


def test_library_that_does_not_load(elsewhere):
    (elsewhere / "built.json").write_text(json.dumps({"tensorflow": {".".join(tf.__version__.split(".")[:2]): tf.__version__}}))
    library.path().write_bytes(b"no library")
    reason = library.load()[1]
    assert f"the op library {library.path().name} doesn't load (" in reason and "file too short" in reason


@pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")
@pytest.mark.parametrize("which", ["libtfqz_core.so", library.path().name])
@pytest.mark.parametrize("part", [0.001, 0.5])
def test_library_that_was_cut_off(elsewhere, which, part):
    """In its middle, where the dynamic linker would end the process. (Less than a header it refuses by itself.)"""
    for path in (Path(tfqz.__file__).parent).glob("libtfqz_*.so"):
        os.symlink(path, elsewhere / path.name)
    (elsewhere / "built.json").write_text(json.dumps({"tensorflow": {".".join(tf.__version__.split(".")[:2]): tf.__version__}}))
    whole = (elsewhere / which).read_bytes()
    (elsewhere / which).unlink()
    (elsewhere / which).write_bytes(whole[: int(len(whole) * part)])
    reason = library.load()[1]
    assert f"the file {elsewhere / which} ends before the library does" in reason and "-m pip install" in reason


def test_no_openblas(monkeypatch, elsewhere):
    (elsewhere / "built.json").write_text(json.dumps({"tensorflow": {".".join(tf.__version__.split(".")[:2]): tf.__version__}}))
    monkeypatch.setattr(library, "_openblas_version", lambda: None)
    assert library.load()[1].endswith("-m pip install scipy-openblas32`")


@pytest.mark.parametrize(
    "origin, command",
    [
        (None, "--no-binary tfqz tfqz"),
        ({"url": "file:///a%20folder/tfqz", "dir_info": {}}, "'/a folder/tfqz'"),
        ({"url": "file:///code/tfqz", "dir_info": {"editable": True}}, "--editable /code/tfqz"),
        ({"url": "https://example.org/tfqz.tar.gz", "archive_info": {}}, "https://example.org/tfqz.tar.gz"),
    ],
    ids=["index", "folder", "editable", "archive"],
)
def test_what_to_install_again(monkeypatch, origin, command):
    class Distribution:
        def read_text(self, name):
            return None if origin is None else json.dumps(origin)

    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Distribution())
    assert library._remedy().endswith(f"--no-deps --no-build-isolation {command}`")


@pytest.mark.slow_if("graph")
def test_the_element_of_a_batch_of_batches(backend):
    a = np.tile(np.eye(4), (2, 3, 1, 1))
    a[1, 1, 0, 0] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`a` must be finite; got NaN or Inf in batch element \[1, 1\]"):
        tfqz.qz(a, np.eye(4), backend=backend)
