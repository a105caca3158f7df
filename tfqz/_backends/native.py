"""The C++ ops `Tfqz>Qz`, `Tfqz>Reorder`, `Tfqz>Schur`, `Tfqz>QzGradient` and `Tfqz>SolveTriangular`: LAPACK on the CPU and the gradients,
the batch shared over TensorFlow's threads."""

import ctypes
import functools
import importlib.metadata
import json
import zlib
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


def factorize(a, b, on_failure, apart=False, ratios=False):
    """`apart` and `ratios` are for the op's gradient, see `qz_gradient`."""
    dtype = _checks.complex_dtype(a.dtype)
    return _call("qz", [a, b], graph.factorize_or_tell, on_failure=on_failure, apart=apart, ratios=ratios, Tcomplex=dtype)


def reorder(factors, labels, on_failure):
    dtype = _checks.complex_dtype(factors[0].dtype)
    return _call("reorder", factors, graph.reorder_or_tell, [labels], on_failure=on_failure, Tcomplex=dtype)


def schur(a, on_failure):
    return _call("schur", [a], graph.schur_or_tell, on_failure=on_failure)


def solve_triangular(S, T, first, second, adjoint, ordinary):
    """What `_triangular.solve` does."""
    solve = _with_flags(_triangular.solve, 4, adjoint=adjoint, ordinary=ordinary)
    return _call("solve_triangular", [S, T, first, second], solve, adjoint=adjoint, ordinary=ordinary)


def qz_gradient(factors, factor_cotangents, eigenvalue_cotangents, in_ops, pencil=(), **flags):
    """What `_gradient.pullback` does, which is `in_ops`, with its `flags`. `eigenvalue_cotangents` are its last arguments, or none; `pencil`,
    A and B or nothing, is for the op's own gradient."""
    matrices, count = [*factors, *factor_cotangents], len(factors) + len(factor_cotangents)
    function = _with_flags(in_ops, count, **flags)
    lists = [list(pencil), *([[x] for x in eigenvalue_cotangents] or [[], []])]
    return _call("qz_gradient", [*matrices, *pencil], function, eigenvalue_cotangents, [*matrices, *lists], **flags)


@functools.cache
def _with_flags(function, count, **flags):
    """Of `count` matrices, others that count for nothing, and vectors."""

    def with_flags(*inputs):
        vectors = [x for x in inputs[count:] if x.shape.rank == 2]
        return function(*inputs[:count], *[None] * (2 * (len(vectors) > 0)), *vectors, **flags)

    return tf.function(with_flags, autograph=False)


def _call(name, matrices, function, vectors=(), arguments=None, **attributes):
    """`arguments`: those of the op if they aren't the matrices and vectors one by one."""
    body = b""
    if not tf.executing_eagerly():  # XLA compiles graphs only
        body = _body(function, tuple(x.dtype for x in matrices), tuple(x.dtype for x in vectors))
    arguments = arguments or [*matrices, *vectors]
    return list(getattr(_load()[0], f"tfqz_{name}")(*arguments, body=body, **attributes))


@functools.cache
def _body(function, matrices, vectors):
    """What an op in a graph carries for XLA, as cc/body.h says: the same in TensorFlow ops. `matrices`, `vectors`: dtypes."""
    with tf.init_scope():
        inputs = [tf.TensorSpec([None] * rank, dtype) for rank, dtypes in ((3, matrices), (2, vectors)) for dtype in dtypes]
        concrete = function.get_concrete_function(*inputs)
    library = concrete.graph.as_graph_def().library
    library.function.add().CopyFrom(concrete.function_def)
    return zlib.compress(library.SerializeToString())


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
