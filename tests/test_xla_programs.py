"""What TensorFlow hands to XLA: no input is a constant of the program, nothing is rounded to fewer bits, no scatter is a loop."""

import re
import time

import pytest
import tensorflow as tf
from functionals import deviates, inner

import tfqz
from tfqz._backends import native

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")


# Of the public functions: real functions of a pencil's two matrices, [2, 3, 3].
FUNCTIONS = {
    "qz": lambda a, b, **options: tfqz.qz(a, b, **options),
    "ordqz": lambda a, b, **options: tfqz.ordqz(a, b, "lhp", **options),
    "eigvals": lambda a, b, **options: tfqz.eigvals(a, b, **options),
    "schur": lambda a, b, **options: tfqz.schur(a + b, **options),
    "deflating_subspace": lambda a, b, **options: tfqz.deflating_subspace(a, b, "lhp", **options)[:4],
    "deflating_subspace of a dimension": lambda a, b, **options: tfqz.deflating_subspace(
        a, b, lambda x, y: tf.range(3) < 1, "complex", dimension=1, **options
    )[:4],
}


def functional(function, **options):
    def call(a, b):
        return tf.add_n([tf.reduce_sum(tf.math.real(tf.math.conj(x) * x * x)) for x in tf.nest.flatten(function(a, b, **options))])

    return call


def gradients(function):
    def call(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = function(a, b)
        return tape.gradient(value, [a, b])

    return call


def second_derivatives(function):
    return gradients(lambda a, b: inner([1.0] * 2, gradients(function)(a, b)))


def directional_derivative(function):
    def call(a, b):
        with tf.autodiff.ForwardAccumulator([a, b], [b, a]) as accumulator:
            value = function(a, b)
        return accumulator.jvp(value)

    return call


ORDERS = {"values": lambda function: function, "gradient": gradients, "second": second_derivatives, "forward": directional_derivative}


def program(function, *inputs):
    """What TensorFlow hands to XLA, as text."""
    return tf.function(function, jit_compile=True, autograph=False).experimental_get_compiler_ir(*inputs)(stage="hlo")


@pytest.mark.slow_if("a di", "schur", "eigvals", "raise-qz-graph", "raise-deflating_subspace-graph")
@pytest.mark.parametrize("backend", ["graph"])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "order, on_failure",
    [
        ("values", "raise"),
        pytest.param("values", "nan", marks=pytest.mark.slow),
        pytest.param("gradient", "raise", marks=pytest.mark.slow),
        pytest.param("second", "raise", marks=pytest.mark.slow),
        pytest.param("forward", "nan", marks=pytest.mark.slow),
    ],
)
def test_no_input_is_a_constant(order, on_failure, name, backend, rng):
    """What XLA takes for a constant is no parameter of the program, which is compiled again for each new value."""
    a, b = (tf.constant(deviates(rng, (2, 3, 3), "float64")) for _ in "ab")
    text = program(ORDERS[order](functional(FUNCTIONS[name], backend=backend, on_failure=on_failure)), a, b)
    assert len(re.findall(r" parameter\(", text[text.index("ENTRY") :])) == 2


@pytest.mark.slow
@pytest.mark.parametrize("on_failure", ["raise", "nan"])
def test_new_values_take_no_compilation(on_failure, rng):
    compiled = tf.function(functional(tfqz.qz, backend="graph", on_failure=on_failure), jit_compile=True)
    times = []
    for _ in range(3):
        a, b = (tf.constant(deviates(rng, (2, 3, 3), "float64")) for _ in "ab")
        start = time.perf_counter()
        compiled(a, b).numpy()
        times.append(time.perf_counter() - start)
    assert max(times[1:]) < times[0] / 20


@pytest.mark.parametrize(
    "dtype, order, name",
    [
        ("float32", "values", "qz"),
        ("complex128", "values", "qz"),
        pytest.param("float32", "values", "ordqz", marks=pytest.mark.slow),
        pytest.param("complex64", "gradient", "ordqz", marks=pytest.mark.slow),
        *(
            pytest.param(dtype, order, name, marks=pytest.mark.slow)
            for dtype in ("float32", "complex128")
            for order in ("gradient", "second")
            for name in FUNCTIONS
        ),
    ],
)
def test_nothing_is_rounded_to_fewer_bits_or_scattered(dtype, order, name, rng):
    """On GPUs TensorFlow lets XLA take float32 products in TF32, unless they ask for all bits, and XLA makes of scatters wider than 64
    bits a loop over the batch."""
    a, b = (tf.constant(deviates(rng, (2, 3, 3), dtype)) for _ in "ab")
    lines = program(ORDERS[order](functional(FUNCTIONS[name], backend="graph")), a, b).split("\n")
    dots = [line for line in lines if re.search(r" (dot|convolution)\(", line)]
    assert dots
    for line in dots:
        assert re.search(r" = (f64|c128|s32|s64)\[", line) or "operand_precision={highest,highest}" in line, line
    for line in lines:
        assert not re.search(r" = \(?c(64|128)\[.* scatter\(", line), line
