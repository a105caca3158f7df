"""Batches, broadcasting, shapes known late or never, empty input, and several decompositions at once."""

import threading

import numpy as np
import pytest
import tensorflow as tf
from functionals import cotangents, deviates, gradient, linear

import tfqz
from tfqz._backends import native


def equal(got, expected, backend):
    """To the last bit; but for TensorFlow's products of matrices, which round by the size of the batch."""
    if backend != "graph":
        return np.array_equal(got, expected)
    return np.allclose(got, expected, rtol=0, atol=200 * np.finfo(np.asarray(got).dtype).eps * np.abs(expected).max(initial=0))


@pytest.mark.slow_if("graph-float32", "scipy-complex128")
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_a_batch_is_its_pencils(dtype, backend, rng):
    a, b = deviates(rng, (2, 3, 5, 5), dtype), deviates(rng, (2, 3, 5, 5), dtype)
    batch = tfqz.qz(a, b, backend=backend)
    assert [x.shape for x in batch] == [(2, 3, 5, 5)] * 4
    for index in np.ndindex(2, 3):
        # Natively a single pencil goes to LAPACK and two go in lockstep.
        for factor, pair in zip(batch, tfqz.qz(*(np.stack([x[index]] * 2) for x in (a, b)), backend=backend)):
            assert equal(factor[index], pair[1], backend)


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("shapes", [([3, 1], [2]), ([], [4]), ([2, 1, 3], [5, 1]), ([1], [1])])
def test_batch_shapes_broadcast(shapes, backend, rng):
    """Values as of the broadcast arrays, gradients summed over what was broadcast."""
    a, b = (deviates(rng, (*shape, 3, 3), "float64") for shape in shapes)
    batch = np.broadcast_shapes(*shapes)
    wide_a, wide_b = (np.broadcast_to(x, (*batch, 3, 3)) for x in (a, b))
    for got, expected in zip(tfqz.qz(a, b, backend=backend), tfqz.qz(wide_a, wide_b, backend=backend)):
        assert equal(got, expected, backend)

    f = linear(cotangents(rng, np.zeros((*batch, 3, 3))), backend)
    for got, x, wide in zip(gradient(f, a, b), (a, b), gradient(f, wide_a, wide_b)):
        extra = wide.ndim - x.ndim
        summed = wide.sum(axis=tuple(range(extra)))
        summed = summed.sum(axis=tuple(i for i, size in enumerate(x.shape) if size == 1 and summed.shape[i] != 1), keepdims=True)
        assert got.shape == x.shape and np.allclose(got, summed, rtol=1e-12, atol=1e-12 * np.abs(wide).max())


@pytest.mark.slow_if("graph", "scipy-complex64")
@pytest.mark.parametrize("shape", [(0, 0), (3, 0, 0), (0, 4, 4), (2, 0, 4, 4), (1, 1), (5, 1, 1)])
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_empty_and_tiny(shape, dtype, backend, rng):
    a, b = deviates(rng, shape, dtype), deviates(rng, shape, dtype)
    factors = tfqz.qz(a, b, backend=backend)
    assert [tuple(x.shape) for x in factors] == [shape] * 4
    assert [x.shape for x in gradient(linear(cotangents(rng, a), backend), a, b)] == [shape] * 2
    if shape[-1] == 1:
        assert np.allclose(factors.q * factors.s, a * factors.z) and np.all(factors.z.numpy() == 1)


@pytest.mark.slow_if("graph", "scipy")
def test_unknown_static_shapes(backend, rng):
    """Nothing but the dtype known when the graph is made; values and gradients as in eager code."""
    a, b = deviates(rng, (3, 1, 4, 4), "float64"), deviates(rng, (2, 4, 4), "float64")
    f = linear(cotangents(rng, np.zeros((3, 2, 4, 4))), backend)

    def values_and_gradients(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = f(a, b)
        return [*tfqz.qz(a, b, backend=backend), *tape.gradient(value, [a, b])]

    expected = values_and_gradients(tf.constant(a), tf.constant(b))
    for shape in (None, [None, None, None, None], [None, None, 4, 4]):
        b_shape = None if shape is None else shape[1:]
        signature = [tf.TensorSpec(shape, tf.float64), tf.TensorSpec(b_shape, tf.float64)]
        for got, reference in zip(tf.function(values_and_gradients, input_signature=signature)(a, b), expected):
            assert np.allclose(got, reference, rtol=1e-12, atol=1e-13)


@pytest.mark.slow_if("graph")
@pytest.mark.parametrize(
    "a, b, expected",
    [
        ([3, 1, 4, 4], [2, 4, 4], [3, 2, 4, 4]),
        ([None, None, None], [4, 4], [None, 4, 4]),
        ([None, 4, None], [4, 4], [None, 4, 4]),
        ([None, None], [None, None], [None, None]),
    ],
)
def test_static_shapes_are_inferred(a, b, expected, backend):
    signature = [tf.TensorSpec(a, tf.float64), tf.TensorSpec(b, tf.float64)]
    function = tf.function(lambda a, b: tfqz.qz(a, b, backend=backend), input_signature=signature)
    assert [x.shape.as_list() for x in function.get_concrete_function().structured_outputs] == [expected] * 4


def test_in_a_graph_as_eagerly(backend, rng):
    a, b = deviates(rng, (4, 6, 6), "float64"), deviates(rng, (4, 6, 6), "float64")
    for eager, graph in zip(tfqz.qz(a, b, backend=backend), tf.function(tfqz.qz)(a, b, backend=backend)):
        assert np.array_equal(eager, graph)


@pytest.mark.slow_if("graph")
def test_several_at_once(backend, rng):
    """Threads of Python's and ops of one graph, on pencils of several sizes: the results of one after the other."""
    sizes = (3, 8, 20, 70) if backend != "graph" else (3, 8, 12)
    pencils = [(deviates(rng, (7, n, n), "float64"), deviates(rng, (7, n, n), "float64")) for n in sizes]
    expected = [tfqz.qz(a, b, backend=backend) for a, b in pencils]
    results = [None] * 8

    def work(i):
        results[i] = [tfqz.qz(a, b, backend=backend) for a, b in pencils]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.append(tf.function(lambda: [tfqz.qz(a, b, backend=backend) for a, b in pencils])())
    for result in results:
        for factors, reference in zip(result, expected):
            for got, single in zip(factors, reference):
                assert np.array_equal(got, single)


@pytest.mark.slow_if("graph", "scipy")
def test_as_scipys_qz_is_called(backend):
    """Positional `output`, its short forms, nested lists, a tuple to unpack, SciPy's order of factors."""
    a, b = [[1.0, 2.0], [3.0, 4.0]], np.array([[2.0, 1.0], [0.0, 1.0]], np.float32)
    s, t, q, z = tfqz.qz(a, b, "r", backend=backend)
    assert s.dtype == tf.float32
    assert np.allclose(q @ s @ tf.transpose(z), a, atol=1e-5) and np.allclose(q @ t @ tf.transpose(z), b, atol=1e-5)
    assert tfqz.qz(a, b, "c", backend=backend)._fields == ("s", "t", "q", "z")
    assert tfqz.qz(a, b, "complex", backend=backend).s.dtype == tf.complex64


@pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")
@pytest.mark.parametrize("shapes", [((5, 3, 3), (5, 2, 3, 3)), ((5, 2, 3, 3), (2, 3, 3)), ((5, 3, 3), (2, 3, 3))])
def test_vectorized_map_of_unknown_ranks(shapes, rng, caplog):
    """One op for all iterations of the first argument, and of the second one where it has as many matrices; nothing said to the log."""
    a, b = (rng.standard_normal(shape) for shape in shapes)
    both = shapes[0][0] == shapes[1][0]

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float64)] * 2)
    def mapped(a, b):
        call = lambda x: tfqz.eigvals(x[0] if both else x, x[1] if both else b)
        return tf.vectorized_map(call, (a, b) if both else a, fallback_to_while_loop=False)

    expected = [tfqz.eigvals(x, b[i] if both else b) for i, x in enumerate(a)]
    assert np.allclose(np.sort_complex(mapped(a, b)), np.sort_complex(expected)) and not caplog.records
