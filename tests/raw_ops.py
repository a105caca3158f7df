"""Calls of the ops by themselves, past what tfqz's functions check: as graphs from elsewhere hold them."""

import numpy as np
import tensorflow as tf

from tfqz._backends import library

REAL, COMPLEX = (tf.float32, tf.float64), (tf.complex64, tf.complex128)
MODES = ("eager", "graph", "xla")

# {op: (shapes of its inputs, lists of them for inputs that are lists, and attributes)}; ints are int32 inputs.
_SQUARE, _VECTOR = (2, 3, 3), (2, 3)
_WIDE, _ROWS, _COLUMNS = (2, 2, 4), (2, 2, 2), (2, 4, 4)
_PENCIL = {"a": _SQUARE, "b": _SQUARE}
_FACTORS = dict.fromkeys("stqz", _SQUARE)
OPS = {
    "qz": (_PENCIL, {"Tcomplex": None}),
    "reorder": (_FACTORS | {"labels": _VECTOR}, {"Tcomplex": None}),
    "schur": ({"a": _SQUARE}, {}),
    "basis": ({"x": _SQUARE, "count": (2,)}, {}),
    "solve_triangular": ({"s": _SQUARE, "t": _SQUARE, "first": _SQUARE, "second": _SQUARE}, {}),
    "solve_block": ({"s1": _ROWS, "t1": _ROWS, "s2": _SQUARE, "t2": _SQUARE, "first": (2, 3, 2), "second": (2, 3, 2)}, {}),
    "qz_gradient": (
        _FACTORS | {f"{x}_bar": _SQUARE for x in "stqz"} | {"pencil": [_SQUARE, _SQUARE], "alpha_bar": [_VECTOR], "beta_bar": [_VECTOR]},
        {},
    ),
    "compress": ({"a": _WIDE, "b": _WIDE}, {}),
    "complement": ({"x": (2, 4, 2)}, {}),
    "extend": ({"a": _WIDE, "x": (2, 4, 2), "beside": (2, 4, 2)} | dict.fromkeys("stqz", _ROWS), {}),
    "svd": ({"b": _WIDE}, {"Treal": None}),
    "balance": ({"matrix": _WIDE}, {}),
    "whole_gradient": (
        {"s": _WIDE, "t": _WIDE, "q": _ROWS, "z": _COLUMNS, "s_bar": _WIDE, "t_bar": _WIDE, "q_bar": _ROWS, "z_bar": _COLUMNS}
        | {"a": _WIDE, "right_rows": (2, 2), "left_rows": (2, 0)},
        {},
    ),
    "eigenvectors": (_FACTORS, {"Tcomplex": None, "left": 1, "right": 1}),
    "solve_bordered": (
        {"s": _SQUARE, "t": _SQUARE, "vectors": _SQUARE, "right_hand_sides": _SQUARE, "s_ratios": _VECTOR, "t_ratios": _VECTOR},
        {},
    ),
    "check": ({"failing": (2,), "got": (2,)}, {"text": "{got}{where}"}),
}
INTEGERS = ("labels", "count", "right_rows", "left_rows", "got")


def precision(dtype):
    """The real and the complex dtype of the same precision."""
    at = 0 if dtype in (tf.float32, tf.complex64) else 1
    return REAL[at], COMPLEX[at]


def dtypes(op):
    if op == "balance":
        return REAL
    return COMPLEX if op == "solve_bordered" else REAL + COMPLEX


def shapes(op):
    return dict(OPS[op][0])


def attributes(op, dtype):
    of_precision = dict(zip(("Treal", "Tcomplex"), precision(dtype), strict=True))
    return {name: of_precision.get(name, value) for name, value in OPS[op][1].items()}


def filled(op, name, shape, dtype, rng=None):
    """A tensor for an input: zeros, or whatever `rng` makes; a list of them for a list."""
    if isinstance(shape, list):
        return [filled(op, name, x, dtype, rng) for x in shape]
    if op == "check" and name == "failing":
        return tf.zeros(shape, tf.bool)
    dtype = tf.int32 if name in INTEGERS else precision(dtype)[1] if name == "alpha_bar" else dtype
    if rng is None:
        return tf.zeros(shape, dtype)
    if dtype == tf.int32:
        return tf.constant(rng.choice([0, 1, -1, 3, 7, 2**31 - 1, -(2**31)], shape), dtype)
    return tf.cast(garbage(rng, shape), dtype)


def garbage(rng, shape):
    """Numbers of every size, with infinite ones and NaN in one of three cases; and zeros."""
    x = rng.standard_normal(shape) * 10.0 ** rng.integers(-2, rng.choice([3, 30, 300]), shape)
    x[rng.random(shape) < rng.choice([0.1, 0.7])] = 0
    if rng.random() < 1 / 3:
        x = np.where(rng.random(shape) < 0.2, rng.choice([np.nan, np.inf, -np.inf, 1e308], shape), x)
    return x


def call(mode, op, inputs, **options):
    """The op's outputs, run: eagerly, in a graph that knows no shapes, or compiled by XLA."""
    options = attributes(op, _dtype(inputs)) | {"body": b""} | options if op != "check" else attributes(op, None) | options
    function = getattr(library.load()[0], f"tfqz_{op}")
    flat = tf.nest.flatten(inputs)

    def run(*tensors):
        return tf.nest.flatten(function(**tf.nest.pack_sequence_as(inputs, tensors), **options))

    if mode == "eager":
        return run(*flat)
    signature = [tf.TensorSpec(x.shape if mode == "xla" else None, x.dtype) for x in flat]
    return tf.function(run, input_signature=signature, autograph=False, jit_compile=mode == "xla")(*flat)


def _dtype(inputs):
    """T: what the first input is."""
    return tf.nest.flatten(next(iter(inputs.values())))[0].dtype
