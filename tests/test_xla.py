"""Inside programs that XLA compiles for the CPU: the native op's values, gradients and errors are those of eager code."""

import os
import subprocess
import sys

import cases
import numpy as np
import oracles
import pytest
import tensorflow as tf
from functionals import cotangents, deviates, inner

import tfqz
from tfqz._backends import native
from tfqz._derivative import gradient

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")


def stacks(*dtypes, sizes=None, **flags):
    """All cases of one size and dtype as one batch: XLA compiles once for each shape."""
    groups = {}
    for dtype in dtypes:
        for case in cases.select(dtype, slow=False, **flags):
            n = len(case(dtype)[0])
            if sizes is None or n in sizes:
                groups.setdefault((dtype, n), []).append(case)
    return [pytest.param(dtype, group, id=f"{dtype}-{n}") for (dtype, n), group in groups.items() if n > 0]


def check(group, dtype, output, backend):
    a, b = (np.stack(x) for x in zip(*(case(dtype) for case in group)))
    compiled = tf.function(lambda a, b: tfqz.qz(a, b, output, backend=backend), jit_compile=True)
    for case, *factors in zip(group, *(x.numpy() for x in compiled(a, b))):
        assert oracles.residuals(*case(dtype), *factors) < 30, case
        assert oracles.structure_error(*factors[:2]) == "", case
        assert all(np.allclose(x, y, atol=1e-3, rtol=1e-3) for x, y in zip(factors[2:], oracles.canonical(*factors)[2:])), case


@pytest.mark.parametrize("output", ["real", "complex"])
@pytest.mark.parametrize("dtype, group", stacks(*cases.ALL))
def test_factors(dtype, group, output):
    """Reconstruction, unitarity, pattern and canonical form, over the whole table, of the native op."""
    check(group, dtype, output, "native")


@pytest.mark.slow
@pytest.mark.parametrize("output", ["real", "complex"])
@pytest.mark.parametrize("dtype, group", stacks("float32", "float64", "complex128", sizes=(5, 8)))
def test_factors_of_the_graph_backend(dtype, group, output):
    check(group, dtype, output, "graph")


@pytest.mark.slow
def test_a_large_pencil_of_the_graph_backend():
    check([case for case in cases.CASES if case.name == "random-60"], "float64", "real", "graph")


@pytest.mark.slow
@pytest.mark.parametrize("dtype, group", stacks(*cases.ALL, sizes=(5,)))
def test_gradients(dtype, group):
    """Finite for every pencil; where all factors have derivatives, those of eager code."""
    a, b = (tf.constant(np.stack(x)) for x in zip(*(case(dtype) for case in group)))
    bars = cotangents(np.random.default_rng(5), a.numpy())

    def gradients(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = inner(bars, tfqz.qz(a, b, backend="native"))
        return tape.gradient(value, [a, b])

    compiled = tf.function(gradients, jit_compile=True)(a, b)
    tolerance = 1e-8 if dtype in cases.DOUBLE else 1e-2
    for eager, got in zip(gradients(a, b), compiled):
        for case, x, y in zip(group, eager.numpy(), got.numpy()):
            assert np.isfinite(y).all(), case
            if case.separated(dtype):
                assert np.abs(x - y).max() <= tolerance * np.abs(x).max(), case


@pytest.mark.slow
@pytest.mark.parametrize(
    "dtype, output, backend",
    [
        ("float32", "real", "native"),
        ("float64", "real", "native"),
        ("float64", "complex", "native"),
        ("complex64", "complex", "native"),
        ("complex128", "complex", "native"),
        ("float64", "real", "graph"),
        ("complex128", "complex", "graph"),
    ],
)
def test_train_step_and_second_derivative(dtype, output, backend, rng):
    """Values, gradient, and the gradient of a functional of the gradient; with broadcasting."""
    a, b = tf.constant(deviates(rng, (3, 1, 5, 5), dtype)), tf.constant(deviates(rng, (2, 5, 5), dtype))
    weights = cotangents(rng, np.zeros((3, 2, 5, 5), dtype), output)
    directions = deviates(rng, a.shape, dtype), deviates(rng, b.shape, dtype)

    def step(a, b):
        with tf.GradientTape() as outer:
            outer.watch([a, b])
            with tf.GradientTape() as inside:
                inside.watch([a, b])
                factors = tfqz.qz(a, b, output=output, backend=backend)
                value = inner(weights, [x * x for x in factors])
            gradients = inside.gradient(value, [a, b])
            derivative = inner(directions, gradients)
        return [*factors, *gradients, *outer.gradient(derivative, [a, b])]

    # What the two round differently the second derivative multiplies by the inverse squares of distances of eigenvalues.
    tolerance = 1e-10 if dtype in cases.DOUBLE else 1e-2
    for eager, compiled in zip(step(a, b), tf.function(step, jit_compile=True)(a, b)):
        assert np.abs(eager - compiled).max() <= tolerance * np.abs(eager).max()


@pytest.mark.slow
@pytest.mark.parametrize("dtype, backend", [("float64", "native"), ("complex128", "native"), ("float64", "graph")])
def test_graphs_made_for_unknown_shapes(dtype, backend, rng):
    """As Keras makes them: batch and n are known only when XLA compiles; n on either side of one block."""
    unknown = tf.TensorSpec([None, None, None], dtype)

    def gradients(a, b):
        with tf.GradientTape() as outer:
            outer.watch([a, b])
            with tf.GradientTape() as inside:
                inside.watch([a, b])
                value = inner([1.0] * 4, [x * x * x for x in tfqz.qz(a, b, backend=backend)])
            first = inside.gradient(value, [a, b])
            derivative = inner([1.0] * 2, first)
        return [*first, *outer.gradient(derivative, [a, b])]

    compiled = tf.function(gradients, input_signature=[unknown, unknown], jit_compile=True)
    for shape in ((2, 5, 5), (1, 34, 34))[: 1 if backend == "graph" else 2]:
        a, b = tf.constant(deviates(rng, shape, dtype)), tf.constant(deviates(rng, shape, dtype))
        for expected, got in zip(gradients(a, b), compiled(a, b)):
            assert np.abs(expected - got).max() <= 1e-10 * np.abs(expected).max()


@pytest.mark.slow_if("complex64")
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_nothing_but_the_forward_pass_is_called(dtype, rng):
    """The backward program has no custom call."""
    factors = tfqz.qz(deviates(rng, (6, 6), dtype), deviates(rng, (6, 6), dtype))
    compiled = tf.function(lambda *x: gradient.pullback(*x, *x), jit_compile=True)
    text = compiled.experimental_get_compiler_ir(*factors)(stage="optimized_hlo")
    assert "while" in text and "custom-call" not in text


def test_errors_of_the_graph_backend(rng):
    """Programs of XLA can't raise: NaN for the elements that failed, and the others unharmed."""
    a = deviates(rng, (3, 4, 4), "float64")
    compiled = tf.function(lambda a: tfqz.qz(a, np.eye(4), backend="graph").s, jit_compile=True)
    expected = compiled(a)
    a[1, 2, 2] = np.inf
    got = compiled(a)
    assert np.isnan(got[1]).all() and np.array_equal(got[::2], expected[::2])


def test_scipy_is_refused(rng):
    """A host call has no place in a compiled program."""
    with pytest.raises(tf.errors.InvalidArgumentError, match="PyFunc"):
        tf.function(tfqz.qz, jit_compile=True)(np.eye(3), np.eye(3), backend="scipy")


def test_errors_and_empty_input(monkeypatch):
    compiled = tf.function(tfqz.qz, jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`a` must be finite; got NaN or Inf in batch element \[1\]"):
        compiled(np.stack([np.eye(3), np.full((3, 3), np.nan)]), np.eye(3))
    with monkeypatch.context() as patch:
        patch.setenv("TFQZ_SIMD", "none")  # it converges in vectors
        with pytest.raises(tf.errors.InvalidArgumentError, match="LAPACK's dgges returned info = "):
            compiled(*cases.NOT_CONVERGING("float64"))
    filled = compiled(np.stack([np.eye(3), np.full((3, 3), np.nan)]), np.eye(3), on_failure="nan")
    assert np.isnan(filled.q[1]).all() and np.array_equal(filled.q[0], np.eye(3))
    assert compiled(np.ones((0, 3, 3)), np.eye(3)).s.shape == (0, 3, 3)
    assert compiled(np.ones((2, 0, 0)), np.ones((0, 0))).s.shape == (2, 0, 0)


def run(code, **environment):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_with_the_settings_of_users():
    """All others are compiled at XLA's lowest level (conftest.py): values and derivatives at its own one, in a process of its own."""
    chosen = "test_train_step_and_second_derivative and native and (float32 or float64-real or complex128)"
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", __file__, "-k", chosen]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"XLA_FLAGS": ""})
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout


@pytest.mark.slow
def test_imported_after_the_first_compilation_and_loaded_twice():
    run("""
import pathlib, shutil, tempfile
import numpy as np, tensorflow as tf
tf.function(lambda x: 2 * x, jit_compile=True)(tf.ones(3))
import tfqz
from tfqz._backends import library
with tempfile.TemporaryDirectory() as folder:
    copy = shutil.copy(library.path(), pathlib.Path(folder, "copy.so"))
    tf.load_op_library(str(copy))
a, b = np.random.default_rng(0).standard_normal((2, 40, 8, 8))
expected = tfqz.qz(a, b, backend="native")
for function in (tf.function(tfqz.qz), tf.function(tfqz.qz, jit_compile=True)):
    assert all(np.array_equal(x, y) for x, y in zip(function(a, b, backend="native"), expected))
""")


def test_graphs_hold_no_functions():
    """They would be optimized and instantiated with each graph, compiled by XLA or not."""

    @tf.function
    def step(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = tf.add_n([tf.reduce_sum(x) for x in tfqz.qz(a, b, backend="native")])
        return tape.gradient(value, [a, b])

    pencil = tf.TensorSpec([3, 3], tf.float64)
    definition = step.get_concrete_function(pencil, pencil).graph.as_graph_def()
    assert {"Tfqz>Qz", "Tfqz>QzGradient"} <= {node.op for node in definition.node}
    assert not definition.library.function


@pytest.mark.slow
def test_the_function_that_the_op_carries():
    """What other devices than the CPU compile: the ops of the graph backend."""
    run(
        """
import numpy as np, tensorflow as tf, tfqz

def step(a, b, backend):
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        factors = tfqz.qz(a, b, backend=backend)
        value = tf.add_n([tf.reduce_sum(x * x * x) for x in factors])
    return [*factors, *tape.gradient(value, [a, b])]

a, b = tf.unstack(tf.constant(np.random.default_rng(1).standard_normal((2, 3, 2, 3, 3))))
b = b[:, :1]
compiled = tf.function(step, jit_compile=True)
text = compiled.experimental_get_compiler_ir(a, b, "native")(stage="hlo")
assert "tfqz_qz" not in text and "while" in text, text
for x, y in zip(compiled(a, b, "native"), compiled(a, b, "graph")):
    np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)

from tfqz._backends import library
op = library.load()[0].tfqz_qz
try:
    tf.function(lambda a: op(a, a, Tcomplex=tf.complex128, body=b"something else"), jit_compile=True)(a)
    raise AssertionError("compiled")
except tf.errors.OpError as error:
    assert "body" in str(error), error
""",
        TFQZ_XLA="graph",
    )
