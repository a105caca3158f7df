"""`solve_continuous_are` and `solve_discrete_are` on the published benchmarks, against 60 digits."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import inner
from mpmath import mp

import tfqz

pytest.importorskip("scipy.linalg.tests.test_solvers", reason="SciPy's tests, which have the benchmarks, are not installed")
import riccati_benchmarks as benchmarks
import riccati_references

EPS = np.finfo(float).eps
PROBLEMS = benchmarks.problems()
CASES = [pytest.param(name, marks=[pytest.mark.slow] if len(problem.a) > 50 else []) for name, problem in PROBLEMS.items()]
SOLVERS = {"continuous": "solve_continuous_are", "discrete": "solve_discrete_are"}
# Rounding of X and of a few products with it; of large ones also that of sums of a hundred terms.
VALUE_FLOOR, GRADIENT_FLOOR = 16 * EPS, 64 * EPS
# Relative errors of X and of its gradient after balancing, ordered QZ, one Newton step and one correction of the multiplier, all in double
# precision. Allowed is three times that, as cotangents and orders of summation differ by so much, or three times SciPy's error of X where
# that is less.
MEASURED = {
    **{f"carex-{j}": (5e-16, 1e-14) for j in (1, 2, 3, 4, 10)},
    "carex-5": (6e-16, 1e-14),
    "carex-6": (4e-15, 4e-12),
    "carex-7": (0, 2e-16),
    "carex-8": (7e-13, 5e-11),
    "carex-9": (0, 4e-16),
    "carex-12": (1e-15, 1e-14),
    "carex-13": (2e-16, 1e-15),
    "carex-14": (1e-8, 3e-4),
    **{f"carex-{j}": (1e-15, 1e-12) for j in (15, 16, 18, 19)},
    "carex-17": (3e-7, 4e-4),
    **{f"darex-{j}": (2e-12, 2e-12) for j in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11)},
    "darex-8": (2e-12, 4e-6),
    "darex-12": (0, 0),
    "darex-13": (1e-15, 2e-13),
    "darex-14": (3e-10, 3e-8),
    "darex-15": (1e-15, 1e-13),
}
ELSE = (1e-13, 1e-13)


def solve(problem, tensors):
    return getattr(tfqz, SOLVERS[problem.kind])(**tensors)


@pytest.fixture(scope="module")
def references():
    return benchmarks.references()


@pytest.mark.parametrize("name", CASES)
def test_value(name, references):
    problem = PROBLEMS[name]
    found = solve(problem, problem.given).numpy()
    assert np.array_equal(found, found.conj().T)
    scipys = benchmarks.value_error(problem.scipys(), references[name])
    measured, _ = MEASURED.get(name, ELSE)
    assert benchmarks.value_error(found, references[name]) < max(3 * min(scipys, measured), VALUE_FLOOR)


@pytest.mark.parametrize("name", CASES)
def test_gradient(name, references):
    problem = PROBLEMS[name]
    tensors = {what: tf.constant(x) for what, x in problem.given.items()}
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = inner([problem.weight], [solve(problem, tensors)])
    gradient = {what: x.numpy() for what, x in tape.gradient(value, tensors).items()}
    _, measured = MEASURED.get(name, ELSE)
    assert benchmarks.gradient_error(gradient, references[name]) < max(3 * measured, GRADIENT_FLOOR)


@pytest.mark.parametrize("name", ["carex-2", "darex-2", "descriptor-continuous-complex128", "descriptor-discrete-complex128"])
def test_references(name, references):
    """They are of the equation's stabilizing solution, and the gradient is what differences of solutions at 90 digits say."""
    problem = PROBLEMS[name]
    with mp.workdps(riccati_references.DIGITS):
        X = riccati_references.solve(problem)
        _, closed, residual = riccati_references.closed_loop(problem, X)
        poles = scipy.linalg.eigvals(riccati_references.to_numpy(closed), problem.e)
        assert np.all(poles.real < 0 if problem.kind == "continuous" else abs(poles) < 1)
        assert mp.mnorm(residual, "f") < 1e-60 * mp.mnorm(X, "f")
        cotangents = riccati_references.gradient(problem, X)
        start, step = problem.scipys(), mp.mpf(10) ** -20
        for what, x in problem.given.items():
            dx = benchmarks.scattered((2 * len(x), x.shape[1]), x.dtype)[len(x) :]
            dx = dx + dx.conj().T if what in "qr" else dx

            def functional(h):
                entries = [[entry + h * move for entry, move in zip(*rows)] for rows in zip(x.tolist(), dx.tolist())]
                moved = dataclasses.replace(problem, **{what: np.array(entries, dtype=object)})
                return product(problem.weight, riccati_references.solve(moved, start))

            derivative = (functional(step) - functional(-step)) / (2 * step)
            assert abs(derivative - product(dx, cotangents[what])) < 1e-30 * abs(derivative)
            rounded = references[name][what] - riccati_references.rounded(cotangents[what])
            assert np.linalg.norm(rounded) <= EPS * np.linalg.norm(references[name][what])


def product(x, y):
    """<x, y> = Re tr(x^H y) of an array and a matrix of mpmath."""
    return sum(mp.re(mp.conj(v) * w) for v, w in zip(x.ravel().tolist(), y))
