"""Overflow and underflow: pencils and cotangents times powers of two have factors and gradients times powers of two, to the last bit."""

import numpy as np
import pytest
import tensorflow as tf
from fuzz_values import properties

import tfqz
from tfqz import _backends
from tfqz._form import powers as powers_of_two

DTYPES = ("float32", "float64", "complex64", "complex128")


def entries(rng, shape, dtype):
    """Of moduli near 1, so that no power of two below makes denormals of them."""
    parts = [rng.choice([-1, 1], shape) * rng.uniform(0.25, 1, shape) for _ in range(2)]
    return (parts[0] + 1j * parts[1] if np.dtype(dtype).kind == "c" else parts[0]).astype(dtype)


def times(x, exponent):
    """x 2^exponent, exactly; `exponent` may be an array of one for each element of a batch."""
    exponent = np.asarray(exponent)
    if exponent.ndim:
        exponent = exponent.reshape(exponent.shape + (1,) * (x.ndim - exponent.ndim))
    parts = np.ldexp(x.real, exponent), np.ldexp(x.imag, exponent)
    return (parts[0] + 1j * parts[1] if np.iscomplexobj(x) else parts[0]).astype(x.dtype)


def is_single(dtype):
    return np.finfo(dtype).bits == 32


def powers(dtype):
    """(i, j, k): of A, B and cotangents. The smallest entries of what is as small as 2^-far have to be normal still."""
    far, most = (105, 122) if is_single(dtype) else (990, 1000)
    return [
        (1, 0, 0),
        (0, 1, 1),
        (7, -20, 0),
        (most, most, most),
        (-far, -far, -far),
        (far, -far, 0),
        (-far, far, 0),
        (0, 0, far),
        (0, 0, -far),
        (far, far, 0),
        (-far, -far, 0),
        (far // 2, -(far // 2), far // 3),
    ]


def gradient_of_factors(a, b, bars, backend):
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        factors = tfqz.qz(a, b, backend=backend)
    return tape.gradient(list(factors), [a, b], output_gradients=list(bars))


def scaled_gradient(compute, a, b, bars, i, j, k):
    """And what it should be, without the powers."""
    bars = [times(bar, e) for bar, e in zip(bars, (k - i, k - j, k, k))]
    found = compute(*map(tf.constant, (times(a, i), times(b, j), *bars)))
    return [times(x.numpy(), e) for x, e in zip(found, (i - k, j - k))]


def assert_homogeneous(compute, rng, shape, dtype, chosen=slice(None)):
    a, b, *bars = (entries(rng, shape, dtype) for _ in range(6))
    expected = scaled_gradient(compute, a, b, bars, 0, 0, 0)
    assert all(np.isfinite(x).all() for x in expected)
    for exponents in powers(dtype)[chosen]:
        found = scaled_gradient(compute, a, b, bars, *exponents)
        i, j, k = exponents
        for x, y, e in zip(found, expected, (i - k, j - k)):
            x, y = (np.ascontiguousarray(z).view(np.zeros(1, dtype).real.dtype).astype("float64") for z in (x, y))
            # An entry that happens to be so small has been a denormal in between.
            limits = np.finfo(dtype)
            normal = np.abs(y) >= np.ldexp(float(limits.smallest_normal), e)
            np.testing.assert_array_equal(x[normal], y[normal], err_msg=str(exponents))
            np.testing.assert_allclose(x, y, rtol=0, atol=np.ldexp(float(limits.smallest_subnormal), e) if not normal.all() else 0)


SIZES = {"native": (1, 3, 8, 40, 64), "scipy": (1, 3, 8), "graph": (3,)}


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_of_factors(backend, dtype, rng):
    for n in SIZES[backend]:
        assert_homogeneous(lambda a, b, *bars: gradient_of_factors(a, b, bars, backend), rng, (n, n), dtype)


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("dtype", DTYPES)
def test_batch_of_all_scales(backend, dtype, rng):
    """Each element at another."""
    i, j, k = np.transpose(powers(dtype))
    for n in SIZES[backend]:
        a, b, *bars = (entries(rng, (len(i), n, n), dtype) for _ in range(6))

        def compute(a, b, *bars):
            return gradient_of_factors(a, b, bars, backend)

        expected = scaled_gradient(compute, a, b, bars, 0, 0, 0)
        for x, y in zip(scaled_gradient(compute, a, b, bars, i, j, k), expected):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("jit_compile", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("shape", [(3, 3), pytest.param((2, 8, 8), marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["float32", pytest.param("complex128", marks=pytest.mark.slow)])
def test_compiled(shape, dtype, jit_compile, rng):
    @tf.function(jit_compile=jit_compile)
    def compute(a, b, *bars):
        return gradient_of_factors(a, b, bars, None)

    assert_homogeneous(compute, rng, shape, dtype)


def gradient_of(function, *xs):
    xs = [tf.constant(x) for x in xs]
    with tf.GradientTape() as tape:
        tape.watch(xs)
        value = tf.reduce_sum(tf.math.real(function(*xs)))
    return tape.gradient(value, xs)


# Functions of a pencil, and how their values scale for A and for B.
FUNCTIONS = {
    "alpha": (lambda a, b, backend: tfqz.eigvals(a, b, homogeneous_eigvals=True, backend=backend)[..., 0, :] * (1 + 2j), (1, 0)),
    "beta": (lambda a, b, backend: tfqz.eigvals(a, b, homogeneous_eigvals=True, backend=backend)[..., 1, :], (0, 1)),
    "eigvals": (lambda a, b, backend: tfqz.eigvals(a, b, backend=backend) * (1 + 2j), (1, -1)),
    "ordqz": (lambda a, b, backend: tfqz.ordqz(a, b, "lhp", backend=backend).s, (1, 0)),
    "subspace": (lambda a, b, backend: tfqz.deflating_subspace(a, b, "lhp", backend=backend).right_projector[..., 0, :2], (0, 0)),
    "eig": (lambda a, b, backend: tfqz.eig(a, b, backend=backend)[1][..., :2] * (1 + 2j), (0, 0)),
}


@pytest.mark.slow_if("graph", "scipy", "subspace", "-eig]")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, backend, rng):
    function, (of_a, of_b) = FUNCTIONS[name]
    for dtype in ("float32", "complex128") if backend == "graph" else DTYPES:
        for shape in [(3, 3)] if backend == "graph" else [(3, 3), (4, 6, 6)]:
            a, b = entries(rng, shape, dtype), entries(rng, shape, dtype)
            expected = gradient_of(lambda a, b: function(a, b, backend), a, b)
            far = 45 if is_single(dtype) else 450
            for i, j in ((1, 0), (far, far), (-far, far), (far, -far), (-far, -far), (2 * far, 1), (1, 2 * far)):
                degree = of_a * i + of_b * j
                if max(abs(e - degree) for e in (i, j)) > (105 if is_single(dtype) else 990):
                    continue  # what should come out is out of the range itself
                found = gradient_of(lambda a, b: function(a, b, backend), times(a, i), times(b, j))
                for x, y, e in zip(found, expected, (i, j)):
                    np.testing.assert_array_equal(times(x.numpy(), e - degree), y, err_msg=f"{dtype} {shape} {i} {j}")


@pytest.mark.slow_if("graph", "scipy", "float64", "complex")
@pytest.mark.parametrize("dtype", DTYPES)
def test_schur(backend, dtype, rng):
    for shape in [(3, 3)] if backend == "graph" else [(1, 1), (3, 3), (3, 8, 8)]:
        a, bars = entries(rng, shape, dtype), [entries(rng, shape, dtype) for _ in range(2)]

        def compute(a, bars):
            a = tf.constant(a)
            with tf.GradientTape() as tape:
                tape.watch(a)
                factors = tfqz.schur(a, backend=backend)
            return tape.gradient(list(factors), a, output_gradients=[tf.constant(x) for x in bars]).numpy()

        expected = compute(a, bars)
        for i, _, k in powers(dtype):
            found = compute(times(a, i), [times(bars[0], k - i), times(bars[1], k)])
            np.testing.assert_array_equal(times(found, i - k), expected, err_msg=f"{shape} {i} {k}")


@pytest.mark.slow_if("graph", "scipy", "truncated")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [{}, {"rank": 2}], ids=["whole", "truncated"])
def test_rectangular(options, backend, dtype, rng):
    for shape in [(3, 5), (2, 5, 3)] if backend != "native" else [(3, 5), (5, 3), (9, 3, 5), (9, 6, 4), (20, 24)]:
        a, b = entries(rng, shape, dtype), entries(rng, shape, dtype)
        with tf.device("CPU"):
            bars = [entries(rng, x.shape, dtype) for x in tfqz.qz(a, b, **options, backend=backend)]

        def compute(a, b, *bars):
            with tf.GradientTape() as tape:
                tape.watch([a, b])
                factors = tfqz.qz(a, b, **options, backend=backend)
            return tape.gradient(list(factors), [a, b], output_gradients=list(bars))

        expected = scaled_gradient(compute, a, b, bars, 0, 0, 0)
        for exponents in powers(dtype):
            for x, y in zip(scaled_gradient(compute, a, b, bars, *exponents), expected):
                if backend == "native":
                    np.testing.assert_array_equal(x, y, err_msg=f"{shape} {exponents}")
                else:  # frames and singular values of matrices over their norms
                    assert np.abs(x - y).max() <= 64 * np.finfo(dtype).eps * np.abs(y).max(), (shape, exponents)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_second_derivatives(backend, dtype, rng):
    """Of <(Sb, Tb, Qb, Zb), factors>, along a direction that scales as the pencil does."""
    a, b, *bars = (entries(rng, (4, 4), dtype) for _ in range(6))
    moves = [entries(rng, (4, 4), dtype) for _ in range(2)]

    def compute(i, j, k):
        pencil = [tf.constant(times(x, e)) for x, e in zip((a, b), (i, j))]
        scaled = [tf.constant(times(x, e)) for x, e in zip(bars, (k - i, k - j, k, k))]
        along = [tf.constant(times(x, e)) for x, e in zip(moves, (i, j))]
        with tf.GradientTape() as tape:
            tape.watch(pencil)
            found = gradient_of_factors(*pencil, scaled, backend)
            value = tf.add_n([tf.reduce_sum(tf.math.real(tf.math.conj(x) * y)) for x, y in zip(found, along)])
        return [times(x.numpy(), e) for x, e in zip(tape.gradient(value, pencil), (i - k, j - k))]

    expected = compute(0, 0, 0)
    for exponents in powers(dtype):
        for x, y in zip(compute(*exponents), expected):
            assert np.abs(x - y).max() <= 8 * np.finfo(dtype).eps * np.abs(y).max(), exponents


@pytest.mark.parametrize("dtype, n, norm", [("float32", 8, 1e37), ("float32", 40, 1e37), ("float64", 64, 1e306)])
def test_sum_of_s(dtype, n, norm, rng):
    """Against higher precision, where single precision would have overflowed; against smaller ones in double precision."""
    a, b = (rng.standard_normal((n, n)).astype(dtype) for _ in range(2))
    found = [x.numpy() for x in gradient_of(lambda a, b: tfqz.qz(a, b).s, *(x * np.dtype(dtype).type(norm) for x in (a, b)))]
    expected = gradient_of(lambda a, b: tfqz.qz(a, b).s, a.astype("float64"), b.astype("float64"))
    assert all(np.isfinite(x).all() for x in found)
    if n == 8:  # where single precision finds eigenvalues in the same order
        assert np.linalg.norm(found[0] - expected[0]) < 1e-3 * np.linalg.norm(expected[0])
    if dtype == "float64":
        np.testing.assert_allclose(np.linalg.norm(found[0]), np.linalg.norm(expected[0]), rtol=1e-6)


@pytest.mark.slow_if("float64", "complex")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", [-138, -126])
def test_denormals_in_threads(dtype, exponent, rng):
    """TensorFlow's threads flush them: eagerly, in graphs and in pieces of a batch they are the numbers that they are all the same."""
    if _backends.BACKENDS["native"].why_not() is not None:
        pytest.skip("of the C++ code")
    exponent = exponent if is_single(dtype) else exponent - 896
    a, b, *bars = (entries(rng, (600, 3, 3), dtype) for _ in range(6))
    compute = tf.function(lambda a, b, *bars: gradient_of_factors(a, b, bars, None), autograph=False)
    for i, j, k in ((0, 0, exponent), (exponent, 0, exponent), (exponent, exponent, exponent)):
        scaled = [times(bar, e) for bar, e in zip(bars, (k - i, k - j, k, k))]
        inputs = [tf.constant(x) for x in (times(a, i), times(b, j), *scaled)]
        found = [x.numpy() for x in compute(*inputs)]
        eagerly = [x.numpy() for x in gradient_of_factors(*inputs[:2], inputs[2:], None)]
        alone = [x.numpy() for x in gradient_of_factors(*(x[5:7] for x in inputs[:2]), [x[5:7] for x in inputs[2:]], None)]
        for x, y, z in zip(found, eagerly, alone):
            assert np.isfinite(x).all()
            np.testing.assert_array_equal(x, y)
            np.testing.assert_array_equal(x[5:7], z)


@pytest.mark.slow_if("graph", "scipy-float64", "scipy-complex")
@pytest.mark.parametrize("dtype", DTYPES)
def test_residuals(backend, dtype, rng):
    """At both ends of the range, of entries down to denormals."""
    least, most = (-124, 122) if is_single(dtype) else (-1015, 1015)
    for n in (3,) if backend == "graph" else (3, 8, 30):
        a, b = (rng.standard_normal((2, n, n)).astype(dtype) for _ in range(2))
        for i, j in ((most, most), (least, least), (most, least), (least, most)):
            pencil = times(a, i), times(b, j)
            s, t, q, z = (x.numpy() for x in tfqz.qz(*pencil, backend=backend))
            ordered = tfqz.ordqz(*pencil, "lhp", backend=backend)
            schur = tfqz.schur(pencil[0], backend=backend)
            forms = [
                (pencil[0], s, q, z),
                (pencil[1], t, q, z),
                (pencil[0], ordered.s.numpy(), ordered.q.numpy(), ordered.z.numpy()),
                (pencil[1], ordered.t.numpy(), ordered.q.numpy(), ordered.z.numpy()),
                (pencil[0], schur.t.numpy(), schur.z.numpy(), schur.z.numpy()),
            ]
            for (x, y, u, v), e in zip(forms, (i, j, i, j, i)):
                u, v, x, y = (m.astype("complex128") for m in (u, v, times(x, -e), times(y, -e)))
                error = np.linalg.norm(u @ y @ np.conj(np.swapaxes(v, -1, -2)) - x) / np.linalg.norm(x)
                assert error < 30 * n * np.finfo(dtype).eps, (n, i, j, error)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_beyond_the_range(dtype, xla):
    """Products by 2^e where 2^e isn't a number: TensorFlow's optimizer would multiply its parts first."""
    most = np.finfo(dtype).maxexp - 28
    x = np.full((3, 3), 1.5, dtype)
    large, small = times(x, most), times(x, -most)
    program = tf.function(powers_of_two.times, jit_compile=xla)
    for given, exponent, expected in ((small, 2 * most, large), (large, -2 * most, small), (0 * x, 2 * most, 0 * x)):
        assert np.array_equal(program(tf.constant(given), tf.constant([[exponent]])), expected)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_number_by_any_power(dtype, mode, rng):
    """As ldexp has it, denormals and all, whatever TensorFlow's optimizer makes of it."""
    limits, is_complex = np.finfo(dtype), np.dtype(dtype).kind == "c"
    some = [0, np.inf, np.nan, limits.max, limits.tiny, limits.tiny / 2, limits.smallest_subnormal, 3 * limits.smallest_subnormal]
    bits = rng.integers(0, 2 ** (limits.bits - 1) - 1, (2, 20000 - len(some)), f"i{limits.bits // 8}")
    x = np.concatenate([np.array([some] * 2, limits.dtype), bits.view(limits.dtype)], axis=1)
    x = np.copysign(x, rng.choice([-1, 1], x.shape)).astype(limits.dtype)
    most = 2 * limits.maxexp - 3
    exponents = np.where(rng.uniform(size=20000) < 0.5, rng.integers(-60, 60, 20000), rng.integers(-most, most + 1, 20000))
    with np.errstate(all="ignore"):
        expected = np.ldexp(x, exponents)
    function = powers_of_two.gradually if mode == "eager" else tf.function(powers_of_two.gradually, jit_compile=mode == "xla")
    found = function(tf.complex(*x) if is_complex else tf.constant(x), tf.constant(exponents, tf.int32)).numpy()
    np.testing.assert_array_equal(np.stack([found.real, found.imag]) if is_complex else found, expected)


def rank_one(rng, dtype):
    """Thirty matrices 4 x 4 of rank 1, their rows far apart: of what rounding leaves of the other eigenvalues some underflows."""
    of_rows, of_all = (-70, -60) if is_single(dtype) else (-560, -480)
    u, v = (np.round(8 * entries(rng, (2, 30, 4), dtype)) / 8).astype("complex128")
    u = times(u, np.where(rng.uniform(size=u.shape) < 0.5, of_rows, 0))
    products = times(u[:, :, None] * v[:, None, :].conj(), of_all)
    return (products if np.dtype(dtype).kind == "c" else products.real).astype(dtype)


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_phases_where_eigenvalues_underflow(dtype, ordered, backend, rng):
    """Those of Q's columns where s_jj and t_jj are 0, as they came back."""
    a = rank_one(rng, dtype)
    found = 0
    for pencils in (a, *a[:3, None]):
        b = np.zeros_like(pencils)
        if ordered:  # an eigenvalue 0/0 may be another one after an exchange
            result = tfqz.ordqz(pencils, b, "ouc", backend=backend, on_failure="nan")
        else:
            result = tfqz.qz(pencils, b, backend=backend)
        s, t, q = (x.numpy() for x in (result.s, result.t, result.q))
        nothing = (np.diagonal(s, axis1=1, axis2=2) == 0) & (np.diagonal(t, axis1=1, axis2=2) == 0)
        columns = q.swapaxes(1, 2)[nothing].T
        largest = np.take_along_axis(columns, properties.first_largest(columns)[None], axis=0)
        np.testing.assert_allclose(largest.imag, 0, atol=4 * np.finfo(dtype).eps)
        assert np.all(largest.real > 0)
        found += nothing.sum()
    assert found > (10 if ordered else 30)
