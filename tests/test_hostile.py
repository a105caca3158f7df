"""Ops as graphs from strangers may hold them: an error that says what is wrong, and never the end of the process or of its memory."""

import re

import numpy as np
import pytest
import raw_ops
import tensorflow as tf
from raw_ops import MODES, OPS
from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_call_module

from tfqz._backends import library, native

ERRORS = (tf.errors.InvalidArgumentError, ValueError)
pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")


def refused(words, mode, op, changes=(), dtype=tf.float64, **options):
    """That an op with inputs of certain shapes instead of its own raises an error with these words."""
    shapes = raw_ops.shapes(op) | dict(changes)
    inputs = {name: raw_ops.filled(op, name, shape, dtype) for name, shape in shapes.items()}
    with pytest.raises(ERRORS, match=re.escape(words) if words else None):
        raw_ops.call(mode, op, inputs, **options)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("op", ["qz", "reorder", "eigenvectors"])
def test_complex_dtype_of_another_precision(op, mode):
    refused("`Tcomplex` must be complex128 where `T` is double; got complex64", mode, op, Tcomplex=tf.complex64)
    refused("`Tcomplex` must be complex64 where `T` is complex64; got", mode, op, dtype=tf.complex64, Tcomplex=tf.complex128)


@pytest.mark.parametrize("mode", MODES)
def test_real_dtype_of_another_precision(mode):
    refused("`Treal` must be double where `T` is complex128; got float", mode, "svd", dtype=tf.complex128, Treal=tf.float32)


@pytest.mark.parametrize("mode", MODES)
def test_lists_of_other_lengths(mode):
    matrix, vector = raw_ops.shapes("qz_gradient")["s"], raw_ops.shapes("qz_gradient")["alpha_bar"][0]
    refused("`pencils` must be 0 or 2; got 1", mode, "qz_gradient", {"pencil": [matrix]})
    refused(
        "`pencils` must be 0 or 2; got 4", mode, "qz_gradient", {"pencil": [matrix] * 2 + [vector] * 2, "alpha_bar": [], "beta_bar": []}
    )
    refused("`eigenvalues` must be 0 or 1; got 2", mode, "qz_gradient", {"alpha_bar": [vector] * 2, "beta_bar": [vector] * 2})
    rule = "`pencils` must be 0 where `eigenvalues` is 0; got 2"
    refused(rule, mode, "qz_gradient", {"pencil": [vector] * 2, "alpha_bar": [], "beta_bar": []})
    refused("`left` must be 0 or 1; got 2", mode, "eigenvectors", left=2)
    refused("`right` must be 0 or 1; got 3", mode, "eigenvectors", right=3)


@pytest.mark.parametrize("mode", MODES)
def test_cotangents_of_another_precision(mode):
    inputs = {name: raw_ops.filled("qz_gradient", name, shape, tf.float64) for name, shape in raw_ops.shapes("qz_gradient").items()}
    inputs["alpha_bar"] = [tf.cast(x, tf.complex64) for x in inputs["alpha_bar"]]
    with pytest.raises(ERRORS, match="`Tcomplex` must be complex128 where `T` is double; got complex64"):
        raw_ops.call(mode, "qz_gradient", inputs)


@pytest.mark.parametrize("mode", MODES)
def test_attributes_out_of_range(mode):
    for op in ("qz", "reorder", "schur", "compress", "svd"):
        refused("on_failure", mode, op, on_failure="neither")
    refused("rank", mode, "compress", rank=2**40)
    for rank in (-2, 3, 2**31 - 1):
        refused(f"`rank_of_b` must be from 0 to 2, the smaller one of m and n; got {rank}", mode, "compress", rank=rank)


@pytest.mark.parametrize("mode", MODES)
def test_sides_that_are_not_those_of_the_matrix(mode):
    """Factors of a wide pencil would go beyond the ends of those of a tall one."""
    tall = {"a": (2, 4, 2), "x": (2, 2, 2), "beside": (2, 2, 0)} | dict.fromkeys("stqz", (2, 2, 2))
    wide = {"a": (2, 2, 4), "x": (2, 2, 2), "beside": (2, 2, 0)} | dict.fromkeys("stqz", (2, 2, 2))
    words = "`x`, `beside`, `s`, `t`, `q`, `z` must be the frame, its complement and factors of `a`; got (2, "
    refused(words, mode, "extend", tall, adjoint=False)
    refused(words, mode, "extend", wide, adjoint=True)


# Tensors of these have no entries, and so no memory.
HUGE = [
    ("qz", {"a": (2**50, 1, 0, 0), "b": (1, 2**50, 0, 0)}, "must be a batch whose bytes can be counted in 64 bits"),
    ("qz", {"a": (0, 2**31, 2**31), "b": (0, 2**31, 2**31)}, "must have m, n < 2^25"),
    ("schur", {"a": (0, 2**31, 2**31)}, "`a` must have n < 2^25 for LAPACK's 32-bit integers; got (0, 2147483648, 2147483648)"),
    ("compress", {"a": (2**50, 0, 2**24), "b": (2**50, 0, 2**24)}, "can be counted in 64 bits; got (1125899906842624, 0, 16777216)"),
    ("compress", {"a": (2**50, 1, 0, 0), "b": (1, 2**50, 0, 0)}, "`a` and `b` must be a batch whose bytes can be counted in 64 bits"),
    ("complement", {"x": (2**46, 2**10, 0)}, "`x` must be a batch whose bytes can be counted in 64 bits; got"),
    ("svd", {"b": (2**50, 0, 2**24)}, "`b` must be a batch whose bytes can be counted in 64 bits; got"),
    ("balance", {"matrix": (2**50, 0, 2**24)}, "`matrix` must be a batch whose bytes can be counted in 64 bits; got"),
    ("reorder", dict.fromkeys((*"stqz", "labels"), (1,) * 254), "must be [..., n, n] where `labels` is [..., n]; got"),
    ("reorder", {"labels": (1,) * 254}, "must be [..., n, n] where `labels` is [..., n]; got"),
]


@pytest.mark.parametrize("mode", MODES[:2])
@pytest.mark.parametrize("op, shapes, words", HUGE)
def test_shapes_that_cannot_be_counted(op, shapes, words, mode):
    refused(words if op != "qz" else "", mode, op, shapes)


@pytest.mark.parametrize("op, shapes, words", HUGE)
def test_shapes_that_cannot_be_counted_in_xla(op, shapes, words):
    refused("", "xla", op, shapes)


@pytest.mark.parametrize("mode", MODES[:2])
def test_batches_of_nothing(mode):
    """End at once however many there are."""
    for op, shapes in (("qz", {"a": (2**50, 0, 0), "b": (0, 0)}), ("balance", {"matrix": (2**50, 0, 0)}), ("schur", {"a": (2**50, 0, 0)})):
        inputs = {name: raw_ops.filled(op, name, shape, tf.float64) for name, shape in shapes.items()}
        assert all(tf.size(x, tf.int64) == 0 for x in raw_ops.call(mode, op, inputs))


@pytest.mark.slow
@pytest.mark.parametrize("op, shapes", [("qz", {"a": (2**23, 1, 1, 1), "b": (1, 2**23, 1, 1)}), ("complement", {"x": (2**24, 0)})])
def test_results_that_no_memory_holds(op, shapes):
    """More bytes than there are addresses, which TensorFlow tries to have for ten seconds."""
    inputs = {name: raw_ops.filled(op, name, shape, tf.float32) for name, shape in shapes.items()}
    with pytest.raises(tf.errors.ResourceExhaustedError):
        raw_ops.call("eager", op, inputs)


# Instead of an input's own shape.
OTHERS = [(), (1,), (3,), (0,), (2, 3), (3, 2), (0, 3, 3), (2, 0, 0), (2, 0, 3), (5, 3, 3), (1,) * 252 + (3, 3), (0, 2**31, 2**31)]


@pytest.mark.parametrize("op", OPS)
def test_shapes_that_disagree(op):
    """In each input and in all of them."""
    dtype, own = raw_ops.dtypes(op)[-1], raw_ops.shapes(op)
    refusals = 0
    for shape in OTHERS:
        for changed in [*([name] for name in own), list(own)]:
            shapes = own | {name: [shape] * len(own[name]) if isinstance(own[name], list) else shape for name in changed}
            inputs = {name: raw_ops.filled(op, name, shape, dtype) for name, shape in shapes.items()}
            try:
                raw_ops.call("eager", op, inputs)
            except tf.errors.InvalidArgumentError as error:
                refusals += 1
                assert "`" in error.message or "rank" in error.message, error.message
    assert refusals >= 5 * len(own)


@pytest.mark.parametrize("op", OPS)
def test_unknown_shapes(op):
    """Of nothing, of ranks, and of what the rest determines."""
    own, dtype = raw_ops.shapes(op), raw_ops.dtypes(op)[-1]
    function = getattr(library.load()[0], f"tfqz_{op}")
    options = raw_ops.attributes(op, dtype) | ({"body": b""} if op != "check" else {})
    inputs = {name: raw_ops.filled(op, name, shape, dtype) for name, shape in own.items()}
    flat = tf.nest.flatten(inputs)

    def trace(known):
        def shape_of(x):
            return [size if known(i) else None for i, size in enumerate(x.shape)]

        specs = [tf.TensorSpec(None if known is None else shape_of(x), x.dtype) for x in flat]
        run = tf.function(lambda *them: tf.nest.flatten(function(**tf.nest.pack_sequence_as(inputs, them), **options)), autograph=False)
        return run.get_concrete_function(*specs).outputs

    found = [x.shape for x in tf.nest.flatten(function(**inputs, **options))]
    for known in (None, lambda i: False, lambda i: i == 0, lambda i: i > 0, lambda i: True):
        assert all(x.shape.is_compatible_with(shape) for x, shape in zip(trace(known), found, strict=True))


@pytest.mark.parametrize("op", OPS)
def test_factors_that_are_none(op, rng):
    """Numbers of any kind where triangular and unitary matrices belong, integers where indices do."""
    own = raw_ops.shapes(op)
    for dtype in raw_ops.dtypes(op):
        for _ in range(10):
            inputs = {name: raw_ops.filled(op, name, shape, dtype, rng) for name, shape in own.items()}
            try:
                raw_ops.call("eager", op, inputs)
            except tf.errors.InvalidArgumentError as error:
                assert "`" in error.message


def test_complement_of_columns_that_are_not_orthonormal():
    """Pivots that are chosen twice would leave more rows than there is room for."""
    inputs = {"x": tf.fill([60, 2], tf.constant(1e120, tf.float64))}
    for _ in range(20):
        _, rows = raw_ops.call("eager", "complement", inputs)
    assert sorted(set(rows.numpy())) == list(rows.numpy())


def test_blocks_and_nan_in_reorder():
    """LAPACK would take an index that it never set."""
    n = 6
    s = np.diag(np.ones(n)) + np.diag(np.ones(n - 1), 1) + np.diag([-1.0, 0, -1, 0, -1], -1)
    inputs = {name: tf.constant(s if name == "s" else np.full((n, n), np.nan)) for name in "stqz"} | {"labels": tf.range(n)}
    with pytest.raises(tf.errors.InvalidArgumentError, match="returned NaN or Inf"):
        raw_ops.call("eager", "reorder", inputs)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", ['"', "\\", "a\nb", "\0", 'x"}, {', "ä", "{got}{got}{where}"])
def test_texts_of_checks(text, mode):
    inputs = {"failing": tf.constant([False, True]), "got": tf.constant([1, 2])}
    with pytest.raises(tf.errors.InvalidArgumentError):
        raw_ops.call(mode, "check", inputs, text=text)


def test_rules_that_there_are_none_of():
    x = tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        attached = library.load()[0].tfqz_attach([x], [x], rule="Nonsense")
    with pytest.raises(LookupError, match="`rule` must be the name of a rule; got 'Nonsense'"):
        tape.gradient(attached, x)


def module(rows, results):
    """A program of XLA that calls the handler of `Tfqz>Schur` without the op."""
    operand, result = (f"tensor<{'x'.join(map(str, shape))}xf64>" for shape in (rows, results))
    return f"""module @m {{ func.func public @main(%a: {operand}) -> ({result}, {result}) {{
      %0:2 = stablehlo.custom_call @tfqz_schur_double(%a) {{api_version = 4 : i32, backend_config = {{fill_failures = 0 : i64}}}}
        : ({operand}) -> ({result}, {result})
      return %0#0, %0#1 : {result}, {result} }} }}"""


@pytest.mark.parametrize("shape, results", [((400, 400), (1,)), ((3, 3), (2, 3, 3)), ((3,), (3,)), ((2, 3), (2, 3)), ((3, 3), (3, 3))])
def test_handlers_called_by_others(shape, results):
    def run(x):
        return xla_call_module(
            [x],
            version=9,
            module=module(shape, results),
            Sout=[results] * 2,
            Tout=[tf.float64] * 2,
            platforms=["CPU"],
            disabled_checks=["custom_call:tfqz_schur_double"],
        )

    call = tf.function(run, jit_compile=True)
    if shape == results == (3, 3):
        found = call(tf.eye(3, dtype=tf.float64))
        np.testing.assert_array_equal(found[0], np.eye(3))
        return
    with pytest.raises(tf.errors.InvalidArgumentError, match="a handler of tfqz must be those that its ops give it"):
        call(tf.zeros(shape, tf.float64))
