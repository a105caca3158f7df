"""`tfqz.sensitivity` against singular values of the Sylvester operator, `tfqz.gauge_residual` for losses that see a gauge or don't."""

import cases
import numpy as np
import pytest
import tensorflow as tf
from functionals import cotangents, deviates, inner, relative_error
from test_degenerate import CLUSTERS, with_eigenvalues

import tfqz


def operator(s, t, cut):
    """The matrix of (X, V) -> (X S11 - S22 V, X T11 - T22 V), by rows of X and V."""
    k, m = cut, len(s) - cut
    return np.block([[np.kron(np.eye(m), x[:k, :k].T), -np.kron(x[k:, k:], np.eye(k))] for x in (s, t)])


@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_sensitivity_against_singular_values(dtype, rng):
    a, b = deviates(rng, (6, 6), dtype), deviates(rng, (6, 6), dtype)
    s, t, _, _ = factors = tfqz.qz(a, b, output="complex")
    found = [x.numpy() for x in tfqz.sensitivity(*factors)]
    s, t = (x.numpy() / np.linalg.norm(x) for x in (s, t))
    pairs = np.stack([np.diag(s), np.diag(t)]) / np.sqrt(abs(np.diag(s)) ** 2 + abs(np.diag(t)) ** 2)
    separation = [abs(np.linalg.det(pairs[:, j : j + 2])) for j in range(5)]
    assert np.allclose(found[0], separation)
    for j in range(5):
        inverse = np.linalg.inv(operator(s, t, j + 1).conj().T)
        dif = 1 / np.linalg.norm(inverse, 2)
        assert dif * 0.999 < found[1][j] < 1.1 * dif
        # The cotangents of the rotation between columns j and j + 1: the corner of either unknown.
        corner = [j, inverse.shape[1] // 2 + j]
        assert np.isclose(found[2][j], np.linalg.norm(inverse[:, corner], 2))
        assert found[2][j] * found[1][j] <= 1 + 1e-12
    scaled = tfqz.sensitivity(1e150 * s, 1e-150 * t)
    assert relative_error(scaled, found) < 1e-10


def test_sensitivity_of_the_real_form_is_that_of_the_complex_one():
    """Cuts beside blocks don't know what is inside; separations are distances of eigenvalues."""
    (case,) = [case for case in cases.CASES if case.name == "rotations-hidden"]
    a, b = case("float64")
    s, t, alpha, beta, q, z = tfqz.ordqz(a, b, lambda alpha, beta: tf.zeros(6, tf.int32))
    found = tfqz.sensitivity(s, t, q, z)
    assert found.separation.dtype == tf.float64 and found.dif.shape == (5,)
    x, y = alpha.numpy() / np.linalg.norm(s), beta.numpy() / np.linalg.norm(t)
    pairs = np.stack([x, y]) / np.sqrt(abs(x) ** 2 + y**2)
    assert np.allclose(found.separation, [abs(np.linalg.det(pairs[:, j : j + 2])) for j in range(5)])
    for cut in (2, 4):
        inverse = np.linalg.inv(operator(s.numpy() / np.linalg.norm(s), t.numpy() / np.linalg.norm(t), cut))
        assert 1 / np.linalg.norm(inverse, 2) == pytest.approx(found.dif[cut - 1].numpy(), rel=0.1)


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_sensitivity_at_equal_eigenvalues(cluster, rng):
    """Dif is 0, nothing is NaN; and about |delta| for eigenvalues that are nearly equal."""
    a, b = with_eigenvalues(rng, "float64", *CLUSTERS[cluster], coupled=False)
    found = tfqz.sensitivity(*tfqz.qz(a, b))
    assert not any(np.isnan(x).any() for x in found)
    assert found.dif.numpy().min() == 0 and np.isinf(found.amplification.numpy().max())
    for distance in (1e-3, 1e-6):
        near = tfqz.sensitivity(np.diag([1, 1 + distance]), np.eye(2))
        assert 0.1 * distance < float(near.dif[0]) < distance
        assert float(near.amplification[0]) == pytest.approx(1 / float(near.dif[0]))


@pytest.mark.slow
def test_sensitivity_of_small_ones_and_batches(rng):
    for n in (0, 1):
        assert tfqz.sensitivity(np.eye(n), np.eye(n)).dif.shape == (0,)
    s, t = (np.triu(deviates(rng, (2, 3, 4, 4), "float64")) for _ in "st")
    batch = tfqz.sensitivity(s, t)
    assert batch.dif.shape == (2, 3, 3)
    assert all(np.allclose(x[1, 2], y) for x, y in zip(batch, tfqz.sensitivity(s[1, 2], t[1, 2])))
    compiled = tf.function(tfqz.sensitivity, jit_compile=True)(tf.constant(s), tf.constant(t))
    assert relative_error(compiled, batch) < 1e-10
    with pytest.raises(TypeError, match="`s` and `t` must have the same dtype"):
        tfqz.sensitivity(s, t.astype("float32"))
    with pytest.raises(ValueError, match=r"`t` must have the same inner shape as `s`; got"):
        tfqz.sensitivity(s[..., :3], t)


def residual(loss, a, b, output="real", compiled=False):
    """The gauge residual of a loss of the factors."""

    def run(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            factors = tfqz.qz(a, b, output)
            value = loss(*factors)
        return tfqz.gauge_residual(factors, tape.gradient(value, factors))

    return float(tf.function(run, jit_compile=True)(a, b) if compiled else run(tf.constant(a), tf.constant(b)))


def linear(weights):
    return lambda *factors: inner(weights, factors)


def round_trip(weights):
    return lambda s, t, q, z: inner(weights, (q @ s @ tf.linalg.adjoint(z), q @ t @ tf.linalg.adjoint(z)))


@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True))
def test_nothing_where_all_has_a_derivative(a, b, rng):
    assert residual(linear(cotangents(rng, a)), a, b) < 1e-12


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_mixing_inside_a_cluster(dtype, cluster, rng):
    """A column of z in the cluster is seen, a projector beside it isn't."""
    alpha, beta = (np.array(x, float) for x in CLUSTERS[cluster])
    a, b = with_eigenvalues(rng, dtype, alpha, beta, coupled=False)
    weights = cotangents(rng, a)
    # How much depends on the basis of the cluster, which is whatever rounding makes it.
    assert residual(linear(weights), a, b) > 1e-4

    def label(x, y):
        # Equal eigenvalues next to each other, rounding away.
        y = tf.math.real(y)
        return tf.where(y < 1e-6 * tf.abs(x), 100, tf.cast(tf.round(8 * tf.math.atan2(tf.math.real(x), y)), tf.int32))

    def of_projector(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            factors = tfqz.ordqz(a, b, label)
            angle = label(factors.alpha, factors.beta)
            k = int(np.flatnonzero(np.diff(angle))[0]) + 1
            z = factors.z[:, :k]
            value = inner([weights[3]], [tf.matmul(z, z, adjoint_b=True)])
        return tfqz.gauge_residual(factors, tape.gradient(value, factors))

    assert float(of_projector(tf.constant(a), tf.constant(b))) < 1e-8


def test_the_phase_at_an_infinite_eigenvalue(rng):
    """Complex: a column of q is seen, its projector isn't. Real: signs can't be."""
    a, b = deviates(rng, (4, 4), "complex128"), deviates(rng, (4, 3), "complex128") @ deviates(rng, (3, 4), "complex128")
    weights = cotangents(rng, a)
    assert residual(linear(weights), a, b) > 1e-2
    assert residual(round_trip(weights[:2]), a, b) < 1e-12


@pytest.mark.slow_if("xla")
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "xla"])
def test_rotation_in_a_block_with_equal_entries(compiled, rng):
    """B = I and complex pairs: columns of z are seen, what knows no rotation isn't."""
    a, b = np.array([[0.0, 2, 1], [-1, 0, 1], [0, 0, 3]]), np.eye(3)
    weights = cotangents(rng, a)
    assert residual(linear(weights), a, b, compiled=compiled) > 1e-2
    assert residual(round_trip(weights[:2]), a, b, compiled=compiled) < 1e-12


def test_a_tie_in_a_column_of_z(rng):
    (case,) = [case for case in cases.CASES if case.name == "cycle"]
    a, b = case("complex128")
    weights = cotangents(rng, a)
    assert residual(linear(weights), a, b) > 1e-2
    assert residual(round_trip(weights[:2]), a, b) < 1e-12


def test_eigenvalues_scale_and_missing_cotangents(rng):
    """alpha and beta of `ordqz` take part, None is 0, and scales of the pencil change nothing."""
    a, b = 2 * np.eye(3), np.eye(3)
    factors = tfqz.ordqz(a, b)
    none = [None] * 6
    assert float(tfqz.gauge_residual(factors, none)) == 0
    zb = deviates(rng, (3, 3), "float64")
    plain = float(tfqz.gauge_residual(factors, [*none[:5], zb]))
    assert plain > 1e-2
    scaled = tfqz.ordqz(1e150 * a, 1e-150 * b)
    assert float(tfqz.gauge_residual(scaled, [*none[:5], zb])) == pytest.approx(plain)
    # At a Jordan block a trace knows nothing of the cluster, and one eigenvalue does.
    factors = tfqz.ordqz(cases.jordan((2, 3)), b)
    for alphab, seen in ((np.ones(3), False), ([1, 0, 0], True)):
        found = tfqz.gauge_residual(factors, [None, None, tf.constant(alphab, tf.complex128), None, None, None])
        assert (float(found) > 1e-2) == seen
    with pytest.raises(ValueError, match=r"must be \(s, t, q, z\) or \(s, t, alpha, beta, q, z\); got 6 and 5 of them"):
        tfqz.gauge_residual(factors, none[:5])


def test_gauge_residuals_of_batches(rng):
    a, b = deviates(rng, (2, 3, 4, 4), "float64"), np.eye(4)
    weights = [deviates(rng, a.shape, "float64") for _ in range(4)]
    factors = tfqz.qz(a, b)
    batch = tfqz.gauge_residual(factors, weights)
    assert batch.shape == (2, 3)
    one = tfqz.QZ(*(factor[1, 2] for factor in factors))
    assert np.isclose(batch[1, 2], tfqz.gauge_residual(one, [weight[1, 2] for weight in weights]))
