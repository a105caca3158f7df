"""`tfqz.schur`: the form, its convention, and its gradient against central differences."""

import cases
import numpy as np
import oracles
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import deviates, inner, inner_each, relative_error

import tfqz


def cotangents(rng, a, output="real"):
    dtype = np.result_type(a.dtype, np.complex64) if output == "complex" else a.dtype
    return [deviates(rng, a.shape, dtype) for _ in "tz"]


def gradient(f, a):
    a = tf.convert_to_tensor(a)
    with tf.GradientTape() as tape:
        tape.watch(a)
        value = f(a)
    return tape.gradient(value, a).numpy()


def central_gradient(f, a, step=None):
    """Of a function of one matrix, or a batch."""
    return oracles.central_gradient(lambda a, _: f(a), a, a, step)[0]


def matrices(*dtypes, **flags):
    return [pytest.param(x.values[0], id=x.id) for x in cases.pencils(*dtypes, slow=False, largest=60, **flags)]


@pytest.mark.parametrize("a", matrices(*cases.ALL))
def test_form(a, backend):
    """Residual, unitarity, pattern and convention, over the table's first matrices."""
    n, eps = len(a), np.finfo(a.dtype).eps
    if backend == "graph" and n > 20:
        pytest.skip("the iteration is that of `qz`, tested there")
    for output in ("real", "complex"):
        t, z = (x.numpy() for x in tfqz.schur(a, output, backend=backend))
        assert t.dtype == (np.result_type(a.dtype, np.complex64) if output == "complex" else a.dtype)
        if n == 0:
            continue
        scale = np.abs(a).max() or 1
        a_, t_ = a / scale, t / scale
        assert np.linalg.norm(z @ t_ @ z.conj().T - a_) <= 30 * n * eps * np.linalg.norm(a_)
        assert np.linalg.norm(z.conj().T @ z - np.eye(n)) < 30 * n * eps
        largest = oracles._largest
        for column in z.T:
            entry = column[largest(column)]
            assert entry.real > 0 and entry.imag == 0
        below = np.diag(t_, -1)
        assert np.all(np.tril(t, -2) == 0)
        assert not np.any((below[1:] != 0) & (below[:-1] != 0))
        if np.iscomplexobj(t):
            assert np.all(below == 0)
        for j in np.flatnonzero(below):
            (p, b), (c, s) = t_[j : j + 2, j : j + 2]
            assert p == s and abs(b) >= abs(c) and np.sign(b) * np.sign(c) < 0


@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_backends_agree(dtype, rng):
    """Up to the order of the eigenvalues, which is LAPACK's for two of them."""
    a = deviates(rng, (3, 6, 6), dtype)
    native, scipy = (tfqz.schur(a, backend=backend) for backend in ("native", "scipy"))
    assert relative_error(native, scipy) < 1e-10


@pytest.mark.parametrize("n", [2, 3, 5, 8])
@pytest.mark.parametrize("dtype, output", [("float64", "real"), ("float64", "complex"), ("complex128", "real")])
def test_gradient(dtype, output, n, backend, rng):
    """All entries of both factors; real matrices with complex pairs, and without (n = 5: one pair at least)."""
    draws = [deviates(rng, (n, n), dtype) for _ in range(40)]

    def moderate(a):
        values = np.linalg.eigvals(a)
        distance = abs(values[:, None] - values) + 9 * np.eye(n)
        blocks = [abs(t[0, 1] + t[1, 0]) for t in _blocks(a, output)]
        pairs = np.count_nonzero(values.imag) if dtype == "float64" else 2
        return (pairs >= 2) * min([distance.min(), *blocks]) if n != 3 else distance.min()

    a = max(draws, key=moderate)
    bars = cotangents(rng, a, output)
    expected = central_gradient(lambda a: inner_each(bars, tfqz.schur(a, output, backend=backend)), a)
    got = gradient(lambda a: inner(bars, tfqz.schur(a, output, backend=backend)), a)
    assert got.dtype == a.dtype
    assert relative_error([got], [expected]) < 1e-6


def _blocks(a, output):
    if np.iscomplexobj(a) or output == "complex":
        return []
    t = tfqz.schur(a)[0].numpy()
    return [t[j : j + 2, j : j + 2] for j in np.flatnonzero(np.diag(t, -1))]


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_single_precision(dtype, rng):
    """The gradient is that of double precision, where both find the eigenvalues in one order."""
    double = np.result_type(dtype, np.float64)
    while True:
        a = deviates(rng, (6, 6), dtype)
        if np.allclose(tfqz.schur(a).t, tfqz.schur(a.astype(double)).t, atol=1e-4):
            break
    bars = cotangents(rng, a)
    expected = gradient(lambda a: inner([x.astype(double) for x in bars], tfqz.schur(a)), a.astype(double))
    assert relative_error([gradient(lambda a: inner(bars, tfqz.schur(a)), a)], [expected]) < 1e-2


@pytest.mark.parametrize("a", matrices(*cases.ALL, extreme=False))
def test_gradients_are_finite_everywhere(a, rng):
    assert np.isfinite(gradient(lambda a: inner(cotangents(rng, a.numpy()), tfqz.schur(a)), a)).all()


@pytest.mark.parametrize("name", ["rotation", "skew", "cycle"])
@pytest.mark.parametrize("backend", ["native", "graph"])
def test_normal_matrices(name, backend, rng):
    """Blocks with b = -c: what knows no rotation has its exact gradient."""
    x = rng.standard_normal((5, 5))
    a = {"rotation": np.linalg.qr(x)[0], "skew": x - x.T, "cycle": np.roll(np.diag(np.arange(1.0, 6)), 1, axis=0)}[name]
    weight = rng.standard_normal((5, 5))

    def round_trip(a):
        t, z = tfqz.schur(a, backend=backend)
        return inner([weight], [z @ t @ tf.transpose(z)])

    assert np.allclose(gradient(round_trip, a), weight, atol=1e-9)


@pytest.mark.parametrize("dtype", cases.COMPLEX)
@pytest.mark.slow_if("graph")
def test_entries_of_every_size(dtype, backend, rng):
    """LAPACK's xGEES divides denormals by their moduli on the way, which have few digits: Z isn't unitary then."""
    limits = np.finfo(dtype)
    least = np.log10(float(limits.smallest_subnormal)) if limits.bits == 32 else -323
    for n in (2, 3, 5):
        shape = 2000, n, n
        a = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * 10 ** rng.uniform(least, 0, shape)
        if limits.bits == 64:
            a *= 10 ** rng.uniform(-140, 140, (2000, n, 1)) * 10 ** rng.uniform(-140, 140, (2000, 1, n))
        a = a[np.abs(a).max(axis=(1, 2)) > 1e-290]
        a = (a / np.abs(a).max(axis=(1, 2), keepdims=True)).astype(dtype)
        t, z = (x.numpy() for x in tfqz.schur(a, backend=backend))
        z_h = np.swapaxes(z.conj(), 1, 2)
        assert np.abs(z_h @ z - np.eye(n)).max() < 30 * n * limits.eps
        assert np.abs(z @ t @ z_h - a).max() < 30 * n * limits.eps


@pytest.mark.parametrize("dtype", cases.DOUBLE)
@pytest.mark.parametrize("values", [(1, 1, 3, -2, 5), (1, 1, 1, -2, 5), (0, 0, 3, -2, 5)])
@pytest.mark.parametrize("coupled", [True, False])
def test_projectors_beside_a_cluster(values, dtype, coupled, rng):
    """The orthogonal projector of an invariant subspace that holds all of a cluster, or none of it; defective and not."""
    n = len(values)
    x = np.eye(n) + 0.3 * deviates(rng, (n, n), dtype)
    a = x @ (np.diag(values) + coupled * np.diag([1.0, *np.zeros(n - 2)], 1)) @ np.linalg.inv(x)
    weight = deviates(rng, (n, n), dtype)
    t, _ = tfqz.schur(a)
    inside = abs(np.diag(t) - values[0]) < 1e-3
    cuts = [k for k in range(1, n) if (inside[:k].all() and not inside[k:].any()) or (not inside[:k].any() and k == np.argmax(inside))]
    if not cuts:
        pytest.skip("QR left the cluster apart")
    k = cuts[0]

    def f(a):
        z = tfqz.schur(a)[1][..., :k]
        return inner_each([weight], [z @ tf.linalg.adjoint(z)])

    wanted = np.diag(t)[:k]

    def reference(a):
        """From eigenvectors: the projector onto those nearest the wanted ones."""
        results = []
        for one in a:
            found, vectors = np.linalg.eig(one)
            distance = abs(found[:, None] - wanted).min(axis=1)
            q, _ = np.linalg.qr(vectors[:, np.argsort(distance)[:k]])
            results.append(np.real(np.sum(weight.conj() * (q @ q.conj().T))))
        return np.array(results)

    if coupled and inside[:k].any():
        pytest.skip("eigenvectors of a defective cluster span nothing")
    assert relative_error([gradient(f, a)], [central_gradient(reference, a)]) < 1e-5


@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_an_eigenvalue_between_equal_ones(dtype, rng):
    """On T's diagonal: against its eigenvectors. Triangular matrices keep their order."""
    a = np.diag(np.array([1, 3, 1, 4], dtype)) + np.triu(deviates(rng, (4, 4), dtype), 1)
    a[0, 2] = a[0, 1] * a[1, 2] / (3 - 1)  # so that the double eigenvalue is semisimple
    for backend in ("native", "scipy"):
        t, _ = tfqz.schur(a, backend=backend)
        assert np.allclose(np.diag(t), np.diag(a))

        def f(a):
            return tf.math.real((1 + 2j) * tf.cast(tfqz.schur(a, backend=backend).t[1, 1], tf.complex128))

        values, left, right = scipy.linalg.eig(a, left=True)
        here = np.argmin(abs(values - 3))
        expected = np.outer(left[:, here], right[:, here].conj()) / np.conj(left[:, here].conj() @ right[:, here])
        expected = expected * (1 if dtype == "float64" else 1 - 2j)
        assert relative_error([gradient(f, a)], [np.asarray(expected, dtype)]) < 1e-6


def test_second_derivatives(rng):
    a, direction = rng.standard_normal((2, 5, 5))
    for output in ("real", "complex"):
        bars = cotangents(rng, a, output)

        def derivative(a):
            with tf.GradientTape() as tape:
                tape.watch(a)
                value = inner([*bars, *bars], [*tfqz.schur(a, output), *(x**2 for x in tfqz.schur(a, output))])
            return tape.gradient(value, a)

        def along(a):
            return inner([direction], [derivative(a)])

        h = 1e-5
        expected = (derivative(tf.constant(a + h * direction)) - derivative(tf.constant(a - h * direction))) / (2 * h)
        assert relative_error([gradient(along, a)], [expected.numpy()]) < 1e-6
        x = tf.constant(a)
        with tf.autodiff.ForwardAccumulator(x, tf.constant(direction)) as accumulator:
            tangents = accumulator.jvp(list(tfqz.schur(x, output)))
        forward = float(inner(bars, tangents))
        reverse = float(np.sum(gradient(lambda a: inner(bars, tfqz.schur(a, output)), a) * direction))
        assert forward == pytest.approx(reverse, rel=1e-10)


@pytest.mark.slow_if("graph", "float64-real")
@pytest.mark.parametrize("environment", ["native", "graph"])
@pytest.mark.parametrize("dtype, output", [("float64", "real"), ("float64", "complex"), ("complex64", "real")])
def test_under_xla(dtype, output, environment, monkeypatch, rng):
    """Values and gradients of the op in programs for the CPU, and compiled from TensorFlow ops as for other devices."""
    if environment == "graph":
        monkeypatch.setenv("TFQZ_XLA", "graph")
    a = deviates(rng, (2, 5, 5), dtype)
    bars = cotangents(rng, a, output)

    def step(a):
        with tf.GradientTape() as tape:
            tape.watch(a)
            factors = tfqz.schur(a, output)
            # Where eigenvalues stand is not the same in TensorFlow ops.
            value = inner(bars, factors) if environment == "native" else inner([bars[0] @ bars[0]], [factors.t @ factors.t])
        return [*factors, tape.gradient(value, a)]

    compiled = tf.function(step, jit_compile=True, input_signature=[tf.TensorSpec([None, None, None], dtype)])
    t, z, ab = (x.numpy() for x in compiled(tf.constant(a)))
    tolerance = 1e-10 if dtype == "float64" else 1e-3
    assert relative_error([z @ t @ z.conj().swapaxes(-1, -2)], [a]) < tolerance
    if environment == "native":
        assert relative_error([t, z, ab], [x.numpy() for x in step(tf.constant(a))]) < tolerance
    else:
        assert np.isfinite(ab).all()


@pytest.mark.slow_if("scipy", "graph")
def test_errors(backend, rng):
    a = rng.standard_normal((2, 3, 4, 4))
    with pytest.raises(ValueError, match=r"`a` must be square, \[..., n, n\]; got \(4, 3\)$"):
        tfqz.schur(a[0, 0, :, :3], backend=backend)
    with pytest.raises(TypeError, match="`a` must have one of the dtypes float32, float64, complex64, complex128; got string"):
        tfqz.schur(tf.fill([2, 2], "1"), backend=backend)
    unknown = tf.function(lambda a: tfqz.schur(a, backend=backend), input_signature=[tf.TensorSpec(None, tf.float64)])
    assert relative_error(unknown(a), tfqz.schur(a, backend=backend)) < 1e-12
    for wrong in (a[..., :3], a[0, 0, 0]):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"`a` must be square, \[..., n, n\]; ?"):
            unknown(wrong)
    a[1, 2, 0, 0] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`a` must be finite; got NaN or Inf in batch element \[1, 2\]"):
        tfqz.schur(a, backend=backend)
    t, z = (x.numpy() for x in tfqz.schur(a, on_failure="nan", backend=backend))
    assert np.isnan(t[1, 2]).all() and np.isnan(z[1, 2]).all() and np.isfinite(t[:, :2]).all()
    for shape in ((0, 0), (3, 0, 0), (0, 2, 2)):
        empty = tf.zeros(shape, tf.float64)
        assert tfqz.schur(empty, backend=backend).t.shape == shape
        assert gradient(lambda a: tf.reduce_sum(tfqz.schur(a, backend=backend).z), empty).shape == shape


@pytest.mark.parametrize("scale", [1e150, 1e-150])
def test_scale_changes_nothing(scale, rng):
    a = rng.standard_normal((5, 5))
    bars = cotangents(rng, a)

    def scaled(scale):
        return gradient(lambda a: inner(bars, [tfqz.schur(a).t / scale, tfqz.schur(a).z]), scale * a) * scale

    assert relative_error([scaled(scale)], [scaled(1.0)]) < 1e-10


def test_what_lapack_goes_in_circles_on(backend):
    """In single precision, complex: the adjoint's form is found."""
    a = np.array([[0, 0, 0, 0.5], [0, 0, 0.25, 0.5], [0, 0, 0, 0.03125], [8.6736174e-19, 0.5, 0, 0]], "complex64")
    with pytest.raises(np.linalg.LinAlgError):
        scipy.linalg.schur(a)
    t, z = (x.numpy() for x in tfqz.schur(a, backend=backend))
    assert np.abs(z @ t @ z.conj().T - a).max() < 1e-6 and not np.tril(t, -1).any()
    assert np.abs(z.conj().T @ z - np.eye(4)).max() < 1e-6
