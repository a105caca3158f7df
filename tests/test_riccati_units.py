"""Riccati equations in any units, and what is on the boundary of stability."""

import numpy as np
import pytest
import tensorflow as tf
from functionals import deviates

import tfqz

SOLVERS = {"continuous": tfqz.solve_continuous_are, "discrete": tfqz.solve_discrete_are}
# Powers of two that leave squares and products of two of these in the range.
LARGEST = {"float32": 28, "float64": 200}


def problems(rng, dtype, count, discrete):
    """Random ones of 4 states and 2 inputs; in discrete time every second r is 0."""
    a, c = rng.standard_normal((2, count, 4, 4))
    g = rng.standard_normal((count, 2, 2))
    r = g @ g.swapaxes(1, 2) + 0.1 * np.eye(2)
    r[::2] *= not discrete
    return [x.astype(dtype) for x in (a / 2, rng.standard_normal((count, 4, 2)), c @ c.swapaxes(1, 2), r)]


def in_units(kind, rng, dtype, a, b, q, r):
    """The same problems in other units of a kind, and what the solution is times."""
    largest = LARGEST[dtype]

    def units(*shape, most=largest):
        return np.ldexp(np.ones(shape), rng.integers(-most, most, (len(a), *shape))).astype(dtype)

    if kind == "costs":
        of_costs = units(1, 1)
        return (a, b, of_costs * q, of_costs * r), of_costs
    if kind == "inputs":
        of_inputs = units(1, 2)
        return (a, of_inputs * b, q, of_inputs.swapaxes(1, 2) * r * of_inputs), 1
    if kind == "states":
        of_states = units(4, 1, most=largest // 10)
        inverse = 1 / of_states
        both = inverse * inverse.swapaxes(1, 2)
        return (of_states * a * inverse.swapaxes(1, 2), of_states * b, both * q, r), both
    of_time = units(1, 1)
    return [of_time * x for x in (a, b, q, r)], 1


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("units", ["costs", "inputs", "states", "time"])
@pytest.mark.parametrize("dtype", LARGEST)
@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.no_case_if(lambda kind, units: kind == "discrete" and units == "time", "which has no other units there")
def test_units(kind, dtype, units, backend, rng):
    """Costs of 1e-8, say, in single precision: neither errors nor other numbers."""
    given = problems(rng, dtype, 40, kind == "discrete")
    others, factor = in_units(units, rng, dtype, *given)
    expected, found = (SOLVERS[kind](*x, backend=backend).numpy() for x in (given, others))
    size = np.abs(expected).max(axis=(1, 2), keepdims=True)
    assert np.max(np.abs(found / factor - expected) / size) < 1000 * np.finfo(dtype).eps


@pytest.mark.parametrize("kind", SOLVERS)
def test_gradients_in_units_of_costs(kind, rng):
    """The gradient by q and r has no units, that by a and b has those of costs."""
    given = problems(rng, "float64", 8, discrete=False)
    weight = deviates(rng, (8, 4, 4), "float64")

    def gradients(scale):
        a, b, q, r = map(tf.constant, (*given[:2], scale * given[2], scale * given[3]))
        with tf.GradientTape() as tape:
            tape.watch([a, b, q, r])
            loss = tf.reduce_sum(weight * SOLVERS[kind](a, b, q, r))
        return [x.numpy() for x in tape.gradient(loss, [a, b, q, r])]

    expected = gradients(1.0)
    for scale in (2.0**-300, 2.0**200):
        for got, wanted, factor in zip(gradients(scale), expected, (scale, scale, 1, 1)):
            assert np.allclose(got / factor, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


def test_a_regular_r_of_different_units():
    """1e-20 is no zero where it is all that there is of an input."""
    a, b, q = np.array([[0.0, 1], [-1, 0.5]]), np.array([[1.0, 0], [0, 1e-10]]), np.eye(2)
    expected = tfqz.solve_continuous_are(a, np.eye(2), q, np.eye(2))
    assert np.allclose(tfqz.solve_continuous_are(a, b, q, np.diag([1, 1e-20])), expected, rtol=1e-12)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`r` must be regular"):
        tfqz.solve_continuous_are(a, b, q, np.diag([1e-30, 0]))


def with_mode(rng, count, kind, distance):
    """Problems with an oscillation that no input reaches, so near to the boundary of stability."""
    core, angle = np.zeros((count, 4, 4)), rng.uniform(0.5, 2.5, count)
    cosine, sine = (0 * angle, angle) if kind == "continuous" else (np.cos(angle), np.sin(angle))
    core[:, 0, 0] = core[:, 1, 1] = cosine
    core[:, 0, 1], core[:, 1, 0] = sine, -sine
    core[:, :2, :2] = core[:, :2, :2] - distance * np.eye(2) if kind == "continuous" else (1 - distance) * core[:, :2, :2]
    core[:, 2:, 2:] = rng.standard_normal((count, 2, 2))
    b = rng.standard_normal((count, 4, 2))
    b[:, :2] = 0
    hide = np.linalg.qr(rng.standard_normal((count, 4, 4)))[0]
    c = rng.standard_normal((count, 4, 4))
    return hide @ core @ hide.swapaxes(1, 2), hide @ b, c @ c.swapaxes(1, 2), np.broadcast_to(np.eye(2), (count, 2, 2))


@pytest.mark.slow_if("graph", "scipy")
@pytest.mark.parametrize("kind", SOLVERS)
def test_what_stays_on_the_boundary(kind, backend, rng):
    """Rounding moves the pencil's pair of equal eigenvalues, one to each side: no solution comes of that."""
    solve = SOLVERS[kind]
    a, b, q, r = with_mode(rng, 50, kind, 0.0)
    found = solve(a, b, q, r, backend=backend, on_failure="nan").numpy()
    assert np.isnan(found).all(axis=(1, 2)).mean() > 0.9
    boundary = {"continuous": "on the imaginary axis", "discrete": "on the unit circle"}[kind]
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"got [2-4] eigenvalues of their pencil {boundary}"):
        solve(a[0], b[0], q[0], r[0], backend=backend)
    found = solve(*with_mode(rng, 50, kind, 1e-9), backend=backend, on_failure="nan").numpy()
    assert np.isfinite(found).all()
