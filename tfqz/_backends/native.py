"""The C++ ops `Tfqz>Qz`, `Tfqz>Reorder`, `Tfqz>Schur` and `Tfqz>SolveTriangular`: LAPACK on the CPU, and the solver of gradients, the
batch shared over TensorFlow's threads."""

import ctypes
import functools
import importlib.metadata
import itertools
import json
from pathlib import Path

import tensorflow as tf

from tfqz import _checks, _triangular
from tfqz._backends import graph

_FOLDER = Path(__file__).resolve().parent.parent
LIBRARY = _FOLDER / "libtfqz.so"
RECORD = _FOLDER / "built.json"


def why_not():
    return _load()[1]


def versions():
    return {
        "built against TensorFlow": _record().get("tensorflow", "?"),
        "built against OpenBLAS": _record().get("scipy_openblas32", "?"),
        "runs with OpenBLAS": _openblas_version(),
    }


def factorize(a, b, on_failure):
    dtype = _checks.complex_dtype(a.dtype)
    return _call("qz", [a, b], graph.factorize_or_tell, on_failure=on_failure, Tcomplex=dtype)


def reorder(factors, labels, on_failure):
    dtype = _checks.complex_dtype(factors[0].dtype)
    return _call("reorder", [*factors, labels], graph.reorder_or_tell, on_failure=on_failure, Tcomplex=dtype)


def schur(a, on_failure):
    return _call("schur", [a], graph.schur_or_tell, on_failure=on_failure)


def solve_triangular(S, T, first, second, adjoint, ordinary):
    """What `_triangular.solve` does."""
    function = _IN_OPS[adjoint, ordinary]
    return _call("solve_triangular", [S, T, first, second], function, adjoint=adjoint, ordinary=ordinary)


def _in_ops(adjoint, ordinary):
    return tf.function(lambda *inputs: _triangular.solve(*inputs, adjoint, ordinary), autograph=False)


_IN_OPS = {flags: _in_ops(*flags) for flags in itertools.product((False, True), repeat=2)}


def _call(name, inputs, function, **attributes):
    # Forward accumulators can't look into an op that carries a function: in eager code, which they are for, it carries none.
    dtype = inputs[0].dtype
    body = [] if tf.executing_eagerly() else [_body(function, dtype, tuple(x.dtype for x in inputs))]
    op = getattr(_load()[0], f"tfqz_{name}")
    return list(op(*inputs, body=body, **attributes))


@functools.cache
def _body(function, dtype, dtypes):
    """What an op in a graph carries for XLA on devices other than the CPU: the same in TensorFlow ops."""
    with tf.init_scope():
        return function.get_concrete_function(*(tf.TensorSpec([None] * (3 if d == dtype else 2), d) for d in dtypes))


@functools.cache
def _load():
    """The op library's module and None, or None and the reason why there is none."""
    if not LIBRARY.exists():
        return None, f"the op library {LIBRARY.name} was not built; {_remedy()}"
    try:
        _load_openblas()
        module = tf.load_op_library(str(LIBRARY))
        if not hasattr(module, "tfqz_qz"):  # TensorFlow makes functions of an op for the first library that registers it
            return None, "another copy of the op library was loaded before; import tfqz first"
        return module, None
    except (tf.errors.NotFoundError, OSError, ImportError) as error:
        built, running = _record().get("tensorflow", "an unknown version"), tf.__version__
        if built.split(".")[:2] != running.split(".")[:2]:
            cause = f"the op library was built against TensorFlow {built}, and TensorFlow {running} is running"
        else:
            cause = f"the op library doesn't load ({str(error).strip()})"
        return None, f"{cause}; {_remedy()}"


def _load_openblas():
    """Makes OpenBLAS known to the dynamic linker by its soname: in an editable install the library's own search path,
    relative to itself, doesn't reach it."""
    import scipy_openblas32

    ctypes.CDLL(str(Path(scipy_openblas32.get_lib_dir()) / "libscipy_openblas.so"))


def _openblas_version():
    try:
        return importlib.metadata.version("scipy-openblas32")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@functools.cache
def _record():
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def _remedy():
    return "install tfqz again with `pip install --force-reinstall --no-deps --no-build-isolation tfqz`"


# With the import, so that saved models which have the op can be loaded.
_load()
