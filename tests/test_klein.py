"""`tfqz.klein`: published models against their closed forms and a solver that knows no QZ, derivatives, and when there is no solution."""

import models
import numpy as np
import pytest
import several
import tensorflow as tf
from functionals import deviates, inner, relative_error

import tfqz


def jacobian(f, parameters):
    """Of a list of tensors, as one vector."""
    parameters = tf.constant(parameters)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(parameters)
        value = tf.concat([tf.reshape(x, [-1]) for x in f(parameters)], axis=0)
    return tape.jacobian(value, parameters, experimental_use_pfor=False)


CLOSED_FORMS = {
    "hansen": (
        models.HANSEN,
        lambda p, **options: [x[:4, :k] for x, k in zip(tfqz.klein(*models.hansen(p), **options)[:2], (2, 1))],
        lambda p: [x if x.shape.rank == 2 else x[:, None] for x in models.hansens_solution(p)],
    ),
    "keynes": (
        models.KEYNES,
        lambda p, **options: [tfqz.klein(*models.keynes(p), **options).impact[:, 0]],
        lambda p: [models.keynes_solution(p)],
    ),
}


@pytest.mark.slow_if("scipy", "graph")
@pytest.mark.parametrize("model", CLOSED_FORMS)
def test_closed_forms(model, backend):
    """The solution and its derivatives by the model's parameters."""
    parameters, solve, closed_form = CLOSED_FORMS[model]
    solve_here = lambda p: solve(p, backend=backend)
    assert relative_error(solve_here(parameters), closed_form(parameters)) < 1e-13
    assert relative_error([jacobian(solve_here, parameters)], [jacobian(closed_form, parameters)]) < 1e-11


def test_a_unit_root_and_tens_of_zero_and_infinite_eigenvalues(rng):
    """44 variables, 27 eigenvalues 0 and 35 infinite ones; derivatives by parameters along which the unit root stays."""
    solve = lambda p: tfqz.klein(*models.sectors(p), tolerance=1e-8)[:2]
    alone = lambda p: models.by_doubling(*(x.numpy() for x in models.sectors(tf.constant(p))))
    found, expected = solve(models.SECTORS), alone(models.SECTORS)
    assert relative_error(found, expected) < 1e-13
    with pytest.raises(tf.errors.InvalidArgumentError, match="got 43 stable eigenvalues for 44 variables: no stable solution"):
        tfqz.klein(*models.sectors(models.SECTORS), tolerance=-1e-8)
    weights = [rng.standard_normal(x.shape) for x in expected]
    (gradient,) = several.gradients(lambda p: inner(weights, solve(p)), [models.SECTORS])
    for move in 0.1 * np.eye(len(models.SECTORS)) * models.SECTORS:
        move[0] *= 0.01  # beta stays below 1
        derivative = several.difference(lambda p: sum(np.sum(w * x) for w, x in zip(weights, alone(p))), [models.SECTORS], [move], 2.0**-6)
        assert float(tf.reduce_sum(gradient * move)) == pytest.approx(derivative, rel=1e-8)


def jordan_block(eigenvalue, size):
    return eigenvalue * np.eye(size) + np.eye(size, k=1)


def block_diagonal(*blocks):
    n = sum(map(len, blocks))
    X, start = np.zeros((n, n)), 0
    for block in blocks:
        X[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return X


def defective(rng, dtype="float64"):
    """A model whose stable eigenvalues are 0, 0, 0, 0.5, 0.5 and 0.5 in Jordan blocks, as the reciprocals of the others are, 0, 0, 0, -0.4,
    -0.4 and -0.4, and its policy."""
    frames = [np.linalg.qr(deviates(rng, (6, 6), dtype))[0] for _ in "TN"]
    T, N = (Q @ (0.4 * block_diagonal(jordan_block(0.0, 3), jordan_block(x, 3))) @ Q.conj().T for Q, x in zip(frames, (1.25, 1.0)))
    M = deviates(rng, (6, 6), dtype) + 4 * np.eye(6)
    return [*models.with_solution(rng, T, N, M), deviates(rng, (6, 2), dtype)], T


@pytest.mark.slow_if("complex128")
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_derivatives_at_defective_eigenvalues(dtype, rng):
    """By all coefficients; in reverse and forward mode, and the second one in three nestings."""
    given, T = defective(rng, dtype)
    assert relative_error([tfqz.klein(*given).policy], [T]) < 1e-12
    weights, moves = [deviates(rng, shape, dtype) for shape in ((6, 6), (6, 2))], several.like(rng, given)
    f = lambda *xs: inner(weights, tfqz.klein(*xs)[:2])
    alone = lambda *xs: sum(np.sum(np.real(np.conj(w) * x)) for w, x in zip(weights, models.by_doubling(*xs)))
    derivative = several.difference(alone, given, moves)
    assert several.first_derivatives(f, given, moves) == pytest.approx([derivative] * 2, rel=1e-8)
    derivative = several.difference(lambda *xs: several.along(f, moves)(*map(tf.constant, xs)).numpy(), given, moves)
    assert several.second_derivatives(f, given, moves) == pytest.approx([derivative] * 3, rel=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_single_precision(dtype, rng):
    given, _ = defective(rng, "complex128" if dtype == "complex64" else "float64")
    weights = [deviates(rng, shape, dtype) for shape in ((6, 6), (6, 2))]
    f = lambda *xs: inner(weights, tfqz.klein(*xs)[:2])
    found = [tfqz.klein(*xs)[:2] + tuple(several.gradients(f, xs)) for xs in ([x.astype(dtype) for x in given], given)]
    assert all(x.dtype == dtype for x in found[0])
    assert relative_error(*found) < 1e-4


def test_units_matter_little(rng):
    """Equations times numbers from 1e-4 to 1e4, variables in units from 1e-4 to 1e4."""
    a, b, c, d = models.hansen(tf.constant(models.HANSEN))
    rows, units = 10 ** rng.uniform(-4, 4, (20, 7, 1)), 10 ** rng.uniform(-4, 4, (20, 1, 7))
    expected, found = tfqz.klein(a, b, c, d), tfqz.klein(*(rows * x * units for x in (a, b, c)), rows * d)
    variables = np.swapaxes(units, -1, -2)
    for policy, impact in zip(found.policy * variables / units, found.impact * variables):
        assert relative_error([policy, impact], expected[:2]) < 1e-8


def test_batches_and_shapes(rng):
    """Of b and d each with an own batch shape, and of unknown shape; `impact` is None without d."""
    a, b, c, d = models.hansen(tf.constant(models.HANSEN))
    b = b * tf.constant([1, 1.001, 0.999, 1.002], tf.float64)[:, None, None] + 0 * b
    d = tf.stack([d, 2 * d])[:, None]
    found = tfqz.klein(a, b, c, d)
    assert found.policy.shape == (2, 4, 7, 7) and found.impact.shape == (2, 4, 7, 1) and found.unique.shape == (2, 4)
    assert tfqz.klein(a, b, c).impact is None
    one = tfqz.klein(a, b[2], c, d[1, 0])
    assert relative_error([found.policy[1, 2], found.impact[1, 2]], one[:2]) < 1e-12
    unknown = tf.function(tfqz.klein, input_signature=[tf.TensorSpec(None, tf.float64)] * 4)
    assert relative_error(unknown(a, b, c, d)[:2], found[:2]) < 1e-12
    with pytest.raises(tf.errors.InvalidArgumentError):
        unknown(a[:, :3], b, c, d)
    mapped = tf.vectorized_map(lambda b: tfqz.klein(a, b, c, d[0, 0]), b)
    assert relative_error(mapped[:2], [x[0] for x in found[:2]]) < 1e-12


@pytest.mark.slow_if("scipy", "graph")
def test_sizes_at_the_ends(backend):
    for batch, n, k in (((), 0, 1), ((2,), 0, 0), ((0,), 2, 1), ((), 2, 0), ((), 1, 1)):
        b, d = np.broadcast_to(np.eye(n), (*batch, n, n)), np.ones((*batch, n, k))
        found = tfqz.klein(-0.5 * b, b, 0 * b, d, backend=backend)
        assert np.allclose(found.policy, 0.5 * b) and np.allclose(found.impact, -d) and not np.any(found.unique)
        f = lambda *xs: tf.reduce_sum(tfqz.klein(*xs, backend=backend).impact)
        assert all(np.allclose(x, 0) or (n, k) == (1, 1) for x in several.gradients(f, [-0.5 * b, b, 0 * b, d])[:3])


def test_under_xla(rng):
    """A first, a second and a third parameter; and a sampler that looks at `unique`."""

    def loss(parameters):
        *found, unique = tfqz.klein(*models.keynes(parameters), on_failure="nan")
        found = [tf.where(tf.equal(unique, 0), x, tf.zeros_like(x)) for x in found]  # before anything is computed from it
        return tf.add_n([tf.reduce_sum(x**2) for x in found]), unique

    def step(parameters):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            value, unique = loss(parameters)
        return value, tape.gradient(value, parameters), unique

    compiled = tf.function(step, jit_compile=True)
    for passive, unique in ((1.5, 0), (1.2, 0), (0.5, 1)):
        parameters = tf.tensor_scatter_nd_update(tf.constant(models.KEYNES), [[3], [4]], [passive, 0.01])
        found, expected = compiled(parameters), step(parameters)
        assert found[2] == unique and np.allclose(found[0], expected[0], rtol=1e-11) and np.allclose(found[1], expected[1], rtol=1e-10)
        assert unique == 0 or not np.any(found[1])
