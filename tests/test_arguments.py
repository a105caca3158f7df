"""What arguments are taken for: dtypes that LAPACK hasn't become those that SciPy computes in; what isn't dense is refused."""

import re

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import tensorflow as tf
from functionals import gradient

import tfqz

INTEGERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
NOT_OF_TENSORS = ("longdouble", "clongdouble", "object")
MIXED = [
    ("int32", "float32"),
    ("float64", "bool"),
    ("int8", "float32"),
    ("int16", "complex64"),
    ("complex64", "int64"),
    ("float16", "float32"),
    ("float64", "float16"),
    ("float16", "complex64"),
    ("int8", "float16"),
    ("uint32", "float16"),
    ("bool", "int8"),
]
A = np.array([[2, 1, 0], [1, 3, 1], [0, 1, 1]])
B = np.diag([1, 2, 3])


def names(results):
    return [np.asarray(x).dtype.name for x in tf.nest.flatten(results)]


@pytest.mark.parametrize("dtype", (*INTEGERS, "float16", *NOT_OF_TENSORS))
def test_dtypes_of_scipy(dtype):
    a, b = A.astype(dtype), B.astype(dtype)
    assert names(tfqz.qz(a, b)) == names(scipy.linalg.qz(a, b))
    assert names(tfqz.schur(a)) == names(scipy.linalg.schur(a))
    q, s, t, z = (tf.cast(x, tf.complex128) for x in (lambda f: (f.q, f.s, f.t, f.z))(tfqz.qz(a, b)))
    assert np.allclose(q @ s @ tf.linalg.adjoint(z), a.astype(complex), atol=1e-5)
    assert np.allclose(q @ t @ tf.linalg.adjoint(z), b.astype(complex), atol=1e-5)
    x = tfqz.solve_sylvester(a, b, a)
    expected = scipy.linalg.solve_sylvester(a, b, a)
    assert x.dtype.name == expected.dtype.name and np.allclose(x, expected, atol=1e-5)
    if dtype != "object":  # which SciPy refuses here
        w, expected = tfqz.eigvals(a, b), scipy.linalg.eigvals(a, b)
        assert w.dtype.name == expected.dtype.name and np.allclose(np.sort(w), np.sort(expected), atol=1e-4)
    if dtype not in NOT_OF_TENSORS:
        for got, array in zip(tfqz.qz(tf.constant(a), tf.Variable(b)), tfqz.qz(a, b)):
            assert np.array_equal(got, array)


@pytest.mark.parametrize("types", MIXED)
def test_dtypes_of_several(types):
    a, b = (x.astype(dtype) for x, dtype in zip((A, B), types))
    factors = tfqz.qz(a, b)
    assert names(factors) == names(scipy.linalg.qz(a, b))
    assert names(tfqz.solve_sylvester(a, b, a)) == names(scipy.linalg.solve_sylvester(a, b, a))
    for got, expected in zip(factors, tfqz.qz(*(x.astype(factors.s.dtype.name) for x in (a, b)))):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("name", ["solve_continuous_are", pytest.param("solve_discrete_are", marks=pytest.mark.slow)])
def test_integers_of_riccati_equations(name):
    arguments = A, B, np.eye(3, dtype=int), np.eye(3)
    x = getattr(tfqz, name)(*arguments)
    assert x.dtype == tf.float64 and np.allclose(x, getattr(scipy.linalg, name)(*arguments))


def test_lists():
    for got, expected in zip(tfqz.qz(A.tolist(), B.tolist()), tfqz.qz(A, B)):
        assert np.array_equal(got, expected)
    assert names(tfqz.qz(A.tolist(), B.astype("float32"))) == ["float32"] * 4
    half = A + 0.1  # of which double precision keeps more digits
    for got, expected in zip(tfqz.qz(half.tolist(), B), tfqz.qz(half, B)):
        assert np.array_equal(got, expected)


def sum_of_squares(a, b):
    return tf.reduce_sum(tf.math.real(tfqz.eigvals(a, b)) ** 2)


@pytest.mark.parametrize("dtype, precision", [("float32", "float64"), ("float16", "float64"), ("complex64", "complex128")])
@pytest.mark.parametrize(
    "wrap",
    [lambda f: f, pytest.param(tf.function, marks=pytest.mark.slow), pytest.param(tf.function(jit_compile=True), marks=pytest.mark.slow)],
    ids=["eager", "graph", "xla"],
)
def test_gradients_reach_what_has_some(dtype, precision, wrap):
    """The float argument that was cast, in its own dtype; integers have none."""

    @wrap
    def gradients(a, b):
        with tf.GradientTape() as tape:
            tape.watch([x for x in (a, b) if not x.dtype.is_integer])
            value = sum_of_squares(a, b)
        return tape.gradient(value, [a, b])

    for step in range(2):
        a = tf.constant(A + step, dtype)
        of_a, of_b = gradients(a, tf.constant(B))
        expected, _ = gradient(sum_of_squares, (A + step).astype(precision), B.astype(precision))
        assert of_b is None and of_a.dtype == a.dtype
        assert np.allclose(of_a, expected, rtol=1e-2 if dtype == "float16" else 1e-5)


def test_gradient_of_a_real_half_beside_complex_numbers(recwarn):
    b = tf.constant(B, tf.complex64)
    half, single = tf.constant(A, tf.float16), tf.constant(A, tf.float32)

    def of(a):
        with tf.GradientTape() as tape:
            tape.watch(a)
            value = tf.reduce_sum(tf.abs(tfqz.eigvals(tf.complex(a, 0 * a) if a.dtype == tf.float32 else a, b)) ** 2)
        return tape.gradient(value, a)

    assert of(half).dtype == tf.float16 and np.allclose(of(half), of(single), rtol=1e-2, atol=1e-5)
    assert not recwarn.list


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: tfqz.qz(np.array([["1"]]), A), "one of float32, float64, complex64, complex128; got string and"),
        (lambda: tfqz.schur([["1"]]), "`a` must have one of the dtypes float32, float64, complex64, complex128; got string"),
        (
            lambda: tfqz.qz(A, np.array([[1j]], object)),
            "`b` must have one of the dtypes float32, float64, complex64, complex128; got objects that are no real numbers",
        ),
        (lambda: tfqz.solve_sylvester(A, A * 1.0, A.astype("float32")), "`a` and `q` must have the same dtype, one of"),
        (lambda: tfqz.gauge_residual([A, A, A, A * 1.0], [None] * 4), "`s` and `t` must have the same dtype, one of"),
    ],
)
def test_what_no_dtype_holds(call, words):
    with pytest.raises(TypeError, match=re.escape(words)):
        call()


KINDS = {
    "RaggedTensor": (tf.ragged.constant([[1.0, 2.0], [3.0]]), "`.to_tensor()` makes one of it, or of each of its matrices"),
    "SparseTensor": (tf.sparse.from_dense(A), "`tf.sparse.to_dense` makes one of it"),
    "csr_array": (scipy.sparse.csr_array(A), "`.toarray()` makes a dense array of it"),
}
EYE = np.eye(3)
CALLS = {
    "a of qz": lambda x: tfqz.qz(x, EYE),
    "b of ordqz": lambda x: tfqz.ordqz(EYE, x),
    "a of eigvals": lambda x: tfqz.eigvals(x, EYE),
    "b of eig": lambda x: tfqz.eig(EYE, x),
    "a of deflating_subspace": lambda x: tfqz.deflating_subspace(x, EYE),
    "a of schur": tfqz.schur,
    "a of balance": lambda x: tfqz.balance(x, EYE),
    "t of sensitivity": lambda x: tfqz.sensitivity(EYE, x),
    "factors of gauge_residual": lambda x: tfqz.gauge_residual([EYE, x, EYE, EYE], [None] * 4),
    "q of solve_continuous_are": lambda x: tfqz.solve_continuous_are(EYE, EYE, x, EYE),
    "e of solve_discrete_are": lambda x: tfqz.solve_discrete_are(EYE, EYE, EYE, EYE, e=x),
    "b of lqr": lambda x: tfqz.lqr(EYE, x, EYE, EYE),
    "b of solve_sylvester": lambda x: tfqz.solve_sylvester(EYE, x, EYE),
    "q of solve_continuous_lyapunov": lambda x: tfqz.solve_continuous_lyapunov(EYE, x),
    "a of solve_discrete_lyapunov": lambda x: tfqz.solve_discrete_lyapunov(x, EYE),
    "f of solve_generalized_sylvester": lambda x: tfqz.solve_generalized_sylvester(EYE, EYE, EYE, EYE, EYE, x),
    "d of klein": lambda x: tfqz.klein(EYE, EYE, EYE, x),
    "c of transmission_zeros": lambda x: tfqz.transmission_zeros(EYE, EYE, x, EYE, EYE),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS)
def test_not_dense(call, kind):
    x, remedy = KINDS[kind]
    with pytest.raises(TypeError, match=re.escape(f"`{call.split()[0]}` must be a dense tensor; got a {kind}: {remedy}")):
        CALLS[call](x)
