"""Stabilizing solutions of algebraic Riccati equations, from the extended pencil, and their gradients: against SciPy's solvers."""

import numpy as np
import oracles
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import along, deviates, inner
from scipy.linalg.tests import test_solvers as scipys

import tfqz
from tfqz import _backends

# What the solvers replace, by hand; test_are.py has these.
pytestmark = pytest.mark.slow_if("graph", "scipy-")


def by_ordqz(pencil, mass, sort, n):
    *_, z = tfqz.ordqz(pencil, mass, sort)
    return z[:n, :n], z[n : 2 * n, :n]


def by_subspace(pencil, mass, sort, n):
    x = tfqz.deflating_subspace(pencil, mass, sort, dimension=n).right
    return x[:n], x[n : 2 * n]


def solve(kind, subspace, A, B, Q, R):
    """X of A^H X + X A - X B R^-1 B^H X + Q = 0, or of its discrete sister, in ten lines."""
    n, m = B.shape
    zero, eye = (lambda *shape: tf.zeros(shape, A.dtype)), tf.eye(n, dtype=A.dtype)
    A_H, B_H = tf.linalg.adjoint(A), tf.linalg.adjoint(B)
    rows = [tf.concat(row, axis=1) for row in ([A, zero(n, n), B], [-Q, -A_H, zero(n, m)], [zero(m, n), B_H, R])]
    mass = [tf.concat(row, axis=1) for row in ([eye, zero(n, n + m)], [zero(n, n), eye, zero(n, m)], [zero(m, 2 * n + m)])]
    if kind == "discrete":
        rows[1:] = [tf.concat(row, axis=1) for row in ([-Q, eye, zero(n, m)], [zero(m, 2 * n), R])]
        mass[1:] = [tf.concat(row, axis=1) for row in ([zero(n, n), A_H, zero(n, m)], [zero(m, n), -B_H, zero(m, m)])]
    above, below = subspace(tf.concat(rows, axis=0), tf.concat(mass, axis=0), "lhp" if kind == "continuous" else "iuc", n)
    return tf.transpose(tf.linalg.solve(tf.transpose(above), tf.transpose(below)))


SCIPYS = {"continuous": scipy.linalg.solve_continuous_are, "discrete": scipy.linalg.solve_discrete_are}


def problem(rng, n, m, dtype):
    """A, B, Q, R with Q semidefinite and R definite."""
    A, B = deviates(rng, (n, n), dtype) / np.sqrt(n), deviates(rng, (n, m), dtype)
    C, D = deviates(rng, (n, n), dtype), deviates(rng, (m, m), dtype)
    return A, B, C @ C.conj().T / n, D @ D.conj().T / m + np.eye(m)


def direction(rng, matrices):
    """One that leaves Q and R Hermitian: SciPy's solvers want them so."""
    moves = [deviates(rng, x.shape, x.dtype) for x in matrices]
    return [*moves[:2], *((x + x.conj().T) / 2 for x in moves[2:])]


def check(kind, subspace, matrices, rng, rel):
    weight = deviates(rng, matrices[0].shape, matrices[0].dtype)
    tensors = [tf.constant(x) for x in matrices]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        X = solve(kind, subspace, *tensors)
        value = inner([weight], [X])
    expected = SCIPYS[kind](*matrices)
    assert np.allclose(X, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())
    gradients = [x.numpy() for x in tape.gradient(value, tensors)]
    for _ in range(3):
        moves = direction(rng, matrices)
        size = max(np.linalg.norm(x, 2) for x in moves)

        def difference(h):
            moved = ([x + sign * h * dx for x, dx in zip(matrices, moves)] for sign in (1, -1))
            forward, backward = (oracles.inner(weight, SCIPYS[kind](*x)) for x in moved)
            return (forward - backward) / (2 * h)

        h = 2.0**-13 / size
        derivative = (4 * difference(h / 2) - difference(h)) / 3
        scale = sum(np.linalg.norm(g) * np.linalg.norm(dx) for g, dx in zip(gradients, moves))
        assert abs(along(gradients, moves) - derivative) < rel * max(abs(derivative), 1e-2 * scale)


@pytest.mark.parametrize("subspace", [by_ordqz, by_subspace])
@pytest.mark.parametrize("kind", SCIPYS)
@pytest.mark.parametrize(
    "n, m, dtype", [(2, 1, "float64"), (3, 2, "complex128"), (5, 3, "float64"), (8, 4, "complex128"), (20, 5, "float64")]
)
def test_solution_and_gradient(n, m, dtype, kind, subspace, rng):
    check(kind, subspace, problem(rng, n, m, dtype), rng, 1e-6)


@pytest.mark.parametrize("subspace", [by_ordqz, by_subspace])
@pytest.mark.parametrize("kind", SCIPYS)
def test_equal_eigenvalues_on_one_side(kind, subspace, rng):
    """Two equal subsystems: every eigenvalue of the closed loop is double."""
    A, B, Q, R = problem(rng, 2, 1, "float64")
    change = rng.standard_normal((4, 4))
    A, B, Q, R = (scipy.linalg.block_diag(x, x) for x in (A, B, Q, R))
    inverse = np.linalg.inv(change)
    check(kind, subspace, [change @ A @ inverse, change @ B, inverse.T @ Q @ inverse, R], rng, 1e-6)


@pytest.mark.parametrize("subspace", [by_ordqz, by_subspace])
def test_a_defective_eigenvalue_on_one_side(subspace, rng):
    """x'' = u with the closed loop s^2 + 2 s + 1: a Jordan block, which rounding splits by 1e-8."""
    A, B, Q, R = np.array([[0.0, 1], [0, 0]]), np.array([[0.0], [1]]), np.diag([1.0, 2]), np.eye(1)
    closed = A - B @ B.T @ scipy.linalg.solve_continuous_are(A, B, Q, R)
    assert np.allclose(np.linalg.eigvals(closed), -1, atol=1e-6)
    check("continuous", subspace, [A, B, Q, R], rng, 1e-6)


def extended(A, B, Q, R, S, E):
    """Stacks of pencils in NumPy: the extended pencil, whose m infinite eigenvalues B has exactly."""
    n, m = B.shape[-2:]

    def zero(*shape):
        return np.zeros((*A.shape[:-2], *shape))

    A_H, B_H, S_H, E_H = (np.conj(np.swapaxes(x, -1, -2)) for x in (A, B, S, E))
    pencil = [[A, zero(n, n), B], [-Q, -A_H, -S], [S_H, B_H, R]]
    mass = [[E, zero(n, n + m)], [zero(n, n), E_H, zero(n, m)], [zero(m, 2 * n + m)]]
    return np.block(pencil), np.block(mass)


@pytest.mark.parametrize("count", [1, 2])
def test_an_infinite_eigenvalue_is_in_no_half_plane(count, backend):
    pencil = np.array([[0, 0, 0, 0, 3], [1, 100, 0, 0, 0], [-1, 0, 0, -1, 0], [0, -1, 0, -100, 0], [0, 0, 3, 0, 1.0]])
    for sort in ("lhp", "rhp"):
        found = tfqz.ordqz(np.stack([pencil] * count), np.diag([1.0, 1, 1, 1, 0]), sort, return_sdim=True, backend=backend)
        assert np.all(found.sdim == 2) and np.all(np.count_nonzero(found.beta == 0, axis=-1) == 1)


@pytest.mark.slow_if("complex128")
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_half_of_the_finite_eigenvalues_are_stable(dtype, backend, rng):
    """Entries of size 100 beside R = I and E = I, or beside a random E."""
    count = {"native": 4000, "scipy": 40, "graph": 100}[backend]
    sizes = [(n, 1 + n % 3) for n in ({"native": range(2, 16), "scipy": (2, 4, 9), "graph": (2, 3)}[backend])]
    for n, m in sizes:
        for E in (np.broadcast_to(np.eye(n), (count, n, n)), deviates(rng, (count, n, n), dtype)):
            A, B, C = (100 * deviates(rng, (count, n, k), dtype) for k in (n, m, n))
            R, S = np.broadcast_to(np.eye(m), (count, m, m)), np.zeros((count, n, m))
            pencil, mass = extended(A, B, C @ np.conj(np.swapaxes(C, -1, -2)), R, S, E)
            _, _, _, _, alpha, beta = _backends.choose(backend).factorize(
                tf.constant(pencil), tf.constant(mass.astype(pencil.dtype)), "raise"
            )
            alpha, beta = alpha.numpy(), beta.numpy().real
            for side in (alpha.real < 0, alpha.real > 0):
                assert np.all(np.count_nonzero(side & (beta > 0), axis=-1) == n)


@pytest.mark.parametrize("name, case, rel", [("carex-5", 4, 1e-11), ("carex-6", 5, 1e-6)])
def test_benchmarks(name, case, rel, backend):
    """Of Benner, Laub and Mehrmann (1995): 9 states of a tubular reactor, 30 states of a jet engine."""
    A, B, Q, R, _ = scipys.TestSolveContinuousAre.cases[case]
    n, m = B.shape
    pencil, mass = extended(A, B, Q, R, np.zeros((n, m)), np.eye(n))
    x = tfqz.deflating_subspace(pencil, mass, "lhp", dimension=n, backend=backend).right.numpy()
    X = np.linalg.solve(x[:n].T, x[n : 2 * n].T).T
    expected = scipy.linalg.solve_continuous_are(A, B, Q, R)
    assert np.linalg.norm(X - expected) < rel * np.linalg.norm(expected)
