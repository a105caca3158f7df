"""`tfqz.ordqz`: which eigenvalues come first, factors and gradients in that order, and what it says where it can't."""

import cases
import numpy as np
import oracles
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import along, cotangents, deviates, gradient, inner, relative_error

import tfqz

KEYWORDS = ("lhp", "rhp", "iuc", "ouc")


def selected(sort, alpha, beta):
    """SciPy's own selection."""
    return scipy.linalg._decomp_qz._select_function(sort)(np.asarray(alpha), np.asarray(beta).real)


def numpy_ordqz(a, b, *args, **kwargs):
    return [x.numpy() for x in tfqz.ordqz(a, b, *args, **kwargs)]


@pytest.mark.parametrize("a, b", cases.pencils(slow=False, singular_pencil=False))
def test_factors_are_a_decomposition_in_the_order(a, b, backend):
    """LAPACK's own residual test, the pattern exactly, the convention, and the selected eigenvalues in front."""
    for sort in ("lhp", "ouc"):
        s, t, alpha, beta, q, z, sdim = numpy_ordqz(a, b, sort, backend=backend, return_sdim=True)
        assert oracles.residuals(a, b, s, t, q, z) < 30
        assert oracles.structure_error(s, t) == ""
        again = oracles.canonical(s, t, q, z)
        assert all(np.allclose(x, y, atol=100 * np.finfo(s.dtype).eps * np.abs(x).max(initial=0)) for x, y in zip((s, t, q, z), again))
        assert 0 <= sdim <= len(a)
        values = oracles.homogeneous_eigenvalues(s, t)
        for found, expected in zip((alpha, beta), values):
            assert np.allclose(found, expected, rtol=0, atol=8 * np.sqrt(np.finfo(s.dtype).eps) * np.abs(expected).max(initial=0))


@pytest.mark.parametrize("sort", KEYWORDS)
@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True))
def test_keywords_are_scipys(a, b, sort, backend):
    if len(a) == 0:
        return
    _s, _t, alpha, beta, q, z, sdim = numpy_ordqz(a, b, sort, backend=backend, return_sdim=True)
    mask = selected(sort, alpha, beta)
    assert mask[:sdim].all() and not mask[sdim:].any()
    *_, left, right = scipy.linalg.ordqz(a, b, sort)
    for ours, theirs in ((q, left), (z, right)):
        ours, theirs = (x[:, :sdim] @ x[:, :sdim].conj().T for x in (ours, theirs))
        assert np.allclose(ours, theirs, atol=1e-9)


def test_infinite_and_undetermined_eigenvalues(backend):
    """An infinite one is outside the unit circle and in no half plane; 0/0 is nowhere."""
    a, b = np.diag([2.0, 3.0, 0.0, -1.0]), np.diag([1.0, 0.0, 0.0, 4.0])
    expected = {"lhp": [-0.25], "rhp": [2], "iuc": [-0.25], "ouc": [2, np.inf]}
    for sort, values in expected.items():
        _, _, alpha, beta, _, _, sdim = numpy_ordqz(a, b, sort, backend=backend, return_sdim=True)
        assert sdim == len(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            assert sorted((alpha.real / beta)[:sdim]) == values


@pytest.mark.parametrize("sort, inside", [("iuc", True), ("ouc", False)])
def test_tolerance_says_where_unit_roots_land(sort, inside, backend):
    """|lambda| = 1 up to rounding on either side."""
    a, b = np.diag([0.5, 1 + 1e-12, 1 - 1e-12, 2]), np.eye(4)
    for tolerance, inner_count in ((1e-8, 3), (-1e-8, 1), (0.0, 2)):
        sdim = tfqz.ordqz(a, b, sort, tolerance=tolerance, return_sdim=True, backend=backend).sdim
        assert int(sdim) == (inner_count if inside else 4 - inner_count)
    for tolerance, count in ((1e-8, 3), (-1e-8, 1)):
        shifted = a - np.eye(4)
        assert int(tfqz.ordqz(shifted, b, "lhp", tolerance=tolerance, return_sdim=True, backend=backend).sdim) == count
        assert int(tfqz.ordqz(shifted, b, "rhp", tolerance=tolerance, return_sdim=True, backend=backend).sdim) == 4 - count


@pytest.mark.parametrize("dtype", cases.ALL)
def test_labels_order_any_number_of_clusters(dtype, backend, rng):
    """The largest label first, and with a label for each eigenvalue a full order: here by |lambda|, as MATLAB's ordqz can."""
    a, b = deviates(rng, (7, 7), dtype), deviates(rng, (7, 7), dtype)

    def ascending(alpha, beta):
        size = tf.abs(alpha) / tf.abs(beta)
        return tf.argsort(tf.argsort(size, direction="DESCENDING", stable=True))

    s, t, alpha, beta, q, z = numpy_ordqz(a, b, ascending, backend=backend)
    assert oracles.residuals(a, b, s, t, q, z) < 30
    sizes = abs(alpha) / abs(beta)
    assert np.all(np.diff(sizes) > -1e-5 * sizes[1:])

    def clusters(alpha, beta):
        size = tf.abs(alpha) / tf.abs(beta)
        return tf.where(size < 0.7, 2, tf.where(size > 1.5, -1, 0))

    _, _, alpha, beta, _, _, sdim = numpy_ordqz(a, b, clusters, backend=backend, return_sdim=True)
    found = clusters(tf.constant(alpha), tf.constant(beta)).numpy()
    assert np.all(np.diff(found) <= 0) and sdim == np.count_nonzero(found > 0)


def test_equal_labels_keep_their_order(backend):
    a = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    _, _, alpha, _, _, _ = numpy_ordqz(a, np.eye(6), lambda alpha, beta: tf.math.real(alpha) % 2 == 0, backend=backend)
    unsorted = np.diag(tfqz.qz(a, np.eye(6), backend=backend).s)
    expected = [*unsorted[unsorted % 2 == 0], *unsorted[unsorted % 2 == 1]]
    assert np.allclose(alpha.real, expected)


def test_pairs_move_together(backend, rng):
    """A callable that selects one of a pair selects both, and sdim counts the selection."""
    (case,) = [case for case in cases.CASES if case.name == "rotations-hidden"]
    a, b = case("float64")

    def above(alpha, beta):
        return tf.math.imag(alpha) > tf.reduce_max(tf.math.imag(alpha)) - 1e-6

    s, _t, alpha, _beta, _, _, sdim = numpy_ordqz(a, b, above, backend=backend, return_sdim=True)
    assert sdim == 2 and s[1, 0] != 0
    assert alpha[0].imag == pytest.approx(alpha.imag.max()) and alpha[1] == alpha[0].conj()
    complex_form = tfqz.ordqz(a, b, above, "complex", backend=backend, return_sdim=True)
    assert int(complex_form.sdim) == 1


@pytest.mark.parametrize("output", ["real", "complex"])
@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_gradient_of_all_outputs(dtype, output, backend, rng):
    """Factors, alpha and beta against central differences: well separated eigenvalues, so SciPy's order isn't needed."""
    if dtype == "complex128" and output == "real":
        return
    for _attempt in range(40):
        a, b = deviates(rng, (5, 5), dtype), deviates(rng, (5, 5), dtype)
        s, t, *_, q, z = numpy_ordqz(a, b, "iuc", output, backend=backend)
        if oracles.separation(s, t, q, z) > 0.03:
            break
    weights = cotangents(rng, a, output)
    of_alpha = deviates(rng, 5, "complex128")
    of_beta = rng.standard_normal(5)

    def f(a, b):
        s, t, alpha, beta, q, z = tfqz.ordqz(a, b, "iuc", output, backend=backend)
        of_values = tf.math.real(tf.reduce_sum(tf.math.conj(of_alpha) * alpha)) + tf.reduce_sum(of_beta * tf.math.real(beta))
        return inner(weights, (s, t, q, z)) + of_values

    da, db = deviates(rng, a.shape, dtype), deviates(rng, a.shape, dtype)
    expected = oracles.central_difference(lambda a, b: f(a, b).numpy(), a, b, da, db, 1e-6, order=4)
    found = gradient(f, a, b)
    assert found[0].dtype == a.dtype
    assert along(found, (da, db)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_second_derivatives(dtype, rng):
    a, b, da, db, ea, eb = (deviates(rng, (4, 4), dtype) for _ in range(6))
    weights = cotangents(rng, a)

    def f(a, b):
        s, t, _, _, q, z = tfqz.ordqz(a, b, "iuc")
        # Of products that know no phases, so that no step changes a convention.
        return inner(weights[:2], (q @ tf.linalg.band_part(s, 0, 0) @ tf.linalg.adjoint(z), z @ t @ tf.linalg.adjoint(z)))

    def derivative(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = f(a, b)
        return inner((da, db), tape.gradient(value, [a, b]))

    def first(a, b):
        return derivative(tf.constant(a), tf.constant(b)).numpy()

    expected = float(oracles.central_difference(first, a, b, ea, eb, 1e-6, order=4))
    assert along(gradient(derivative, a, b), (ea, eb)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_backends_agree(rng):
    for dtype in cases.ALL:
        a, b = deviates(rng, (3, 6, 6), dtype), deviates(rng, (6, 6), dtype)
        results = [numpy_ordqz(a, b, _by_real_part, backend=backend) for backend in ("native", "scipy", "graph")]
        for other in results[1:]:
            assert relative_error(other, results[0]) < 1e6 * np.finfo(dtype).eps


def _by_real_part(alpha, beta):
    """One label for each eigenvalue, so that all backends end with the same order; a pair's are neighbours."""
    value = tf.math.real(alpha) / tf.math.real(beta)
    # Rounding must not put another eigenvalue between those of a pair.
    return tf.argsort(tf.argsort(tf.round(value * 2**10), axis=-1, stable=True), axis=-1)


@pytest.mark.slow_if("graph")
def test_batches_broadcast_and_count_for_themselves(backend, rng):
    a, b = deviates(rng, (2, 1, 4, 4), "float64"), deviates(rng, (3, 4, 4), "float64")
    batch = tfqz.ordqz(a, b, "rhp", backend=backend, return_sdim=True)
    assert batch.s.shape == (2, 3, 4, 4) and batch.alpha.shape == (2, 3, 4) and batch.sdim.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        single = tfqz.ordqz(a[i, 0], b[j], "rhp", backend=backend, return_sdim=True)
        assert all(np.allclose(x[i, j], y, atol=1e-12) for x, y in zip(batch, single))
    weights = deviates(rng, (2, 3, 4, 4), "float64")
    whole = gradient(lambda a, b: inner([weights], [tfqz.ordqz(a, b, "rhp", backend=backend).z]), a, b)
    parts = [
        gradient(lambda a, b: inner([weights[i, j]], [tfqz.ordqz(a, b, "rhp", backend=backend).z]), a[i, 0], b[j])
        for i, j in np.ndindex(2, 3)
    ]
    assert np.allclose(whole[0][0, 0], sum(part[0] for part in parts[:3]))
    assert np.allclose(whole[1][1], parts[1][1] + parts[4][1])


@pytest.mark.slow_if("float64")
@pytest.mark.parametrize("dtype, compiled_backend", [("float64", "native"), ("complex128", "native"), ("float64", "graph")])
def test_under_xla(dtype, compiled_backend, rng):
    """Values and gradient of a compiled step are the eager ones."""
    a, b = deviates(rng, (2, 5, 5), dtype), deviates(rng, (2, 5, 5), dtype)
    weights = cotangents(rng, a)

    def step(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            s, t, alpha, beta, q, z = tfqz.ordqz(a, b, "iuc", backend=compiled_backend)
            value = inner(weights, (s, t, q, z)) + tf.reduce_sum(tf.math.real(alpha) + tf.math.real(beta))
        return [value, *tape.gradient(value, [a, b])]

    a, b = tf.constant(a), tf.constant(b)
    compiled = tf.function(step, jit_compile=True)(a, b)
    assert relative_error(compiled, step(a, b)) < 1e-10
    assert relative_error(tf.function(step)(a, b), step(a, b)) < 1e-10


def test_empty(backend):
    for shape in ((0, 0), (0, 3, 3), (2, 0, 0)):
        a = tf.zeros(shape)
        result = tfqz.ordqz(a, a, backend=backend, return_sdim=True)
        assert result.s.shape == shape and result.alpha.shape == shape[:-1] and result.sdim.shape == shape[:-2]
