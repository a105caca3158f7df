"""Solvers of equations whose coefficients are made of the two matrices of a pencil, and zeros of the system that it is cut into.

The matrices are brought near 1 first, since products of them are what the equations are about.
"""

import numpy as np
import tensorflow as tf
from functionals import deviates

import tfqz
from fuzz_values import properties
from fuzz_values.gradients import exponent
from fuzz_values.properties import H, norm, times, wide
from tfqz import _backends
from tfqz._api import zeros as zeros_of_systems


def near_one(*matrices):
    """[..., n, n] each, times powers of two by which largest entries are near 1."""
    return [np.stack([times(y, -exponent(y)) for y in x]) if x.ndim > 2 else times(x, -exponent(x)) for x in matrices]


def right_hand_side(c, a):
    n = a.shape[-1]
    return deviates(np.random.default_rng(c.seed), (n, n), a.dtype)


def residuals(equations):
    """The property of residuals: [(residual, size of the terms whose sum it is)] of equations."""

    def of_element(c, backend, a, b, outputs):
        relative, _ = properties.precision(a.dtype, len(a))
        a, b, q = map(wide, (*near_one(a, b), right_hand_side(c, a)))
        found = equations(c, a, b, q, *map(wide, outputs))
        return {"residual": properties.max_ratio([properties.ratio(norm(x), relative * size) for x, size in found])}

    return of_element


def run_sylvester(c, backend, a, b):
    a, b = near_one(a, b)
    return (tfqz.solve_sylvester(a, b, right_hand_side(c, a), backend=backend, on_failure="nan"),)


@residuals
def check_sylvester(c, a, b, q, x):
    return [(a @ x + x @ b - q, (norm(a) + norm(b)) * norm(x) + norm(q))]


def run_lyapunov(c, backend, a, b):
    (a,) = near_one(a)
    return (tfqz.solve_continuous_lyapunov(a, right_hand_side(c, a), backend=backend, on_failure="nan"),)


@residuals
def check_lyapunov(c, a, b, q, x):
    return [(a @ x + x @ H(a) - q, 2 * norm(a) * norm(x) + norm(q))]


def run_descriptor(c, backend, a, b):
    a, b = near_one(a, b)
    return (tfqz.solve_continuous_lyapunov(a, right_hand_side(c, a), b, backend=backend, on_failure="nan"),)


def check_descriptor(c, backend, a, b, outputs):
    """X comes from T X by T^-1: errors of rounding grow by its condition, and those of the step that corrects them by that of the equation
    as well. Nothing is asked where both together leave no digit."""
    relative, _ = properties.precision(a.dtype, len(a))
    (a, b), q, x = near_one(a, b), right_hand_side(c, a), outputs[0]
    condition = np.linalg.cond(b) if b.size else 1.0
    growth = 1.0
    if condition > 1e3:
        whole = np.kron(b.conj(), a) + np.kron(a.conj(), b) if len(a) <= 12 else None
        growth = 16 * condition * float(relative) * (np.inf if whole is None else np.linalg.cond(whole))
    a, b, q, x = map(wide, (a, b, q, x))
    size = 2 * norm(a) * norm(x) * norm(b) + norm(q)
    if not growth * relative < 1:
        return {}
    return {"residual": properties.ratio(norm(a @ x @ H(b) + b @ x @ H(a) - q), relative * max(growth, 1) * size)}


def run_stein(c, backend, a, b):
    (a,) = near_one(a)
    return (tfqz.solve_discrete_lyapunov(a, right_hand_side(c, a), backend=backend, on_failure="nan"),)


@residuals
def check_stein(c, a, b, q, x):
    return [(a @ x @ H(a) - x + q, (norm(a) ** 2 + 1) * norm(x) + norm(q))]


def second_pencil(c, a):
    """One of order 3."""
    rng = np.random.default_rng(c.seed + 1)
    return [deviates(rng, (3, 3), a.dtype) for _ in "be"], deviates(rng, (a.shape[-1], 3), a.dtype)


def run_coupled(c, backend, a, b):
    a, d = near_one(a, b)
    (b, e), f = second_pencil(c, a)
    return tuple(tfqz.solve_generalized_sylvester(a, b, f, d, e, f, backend=backend, on_failure="nan"))


@residuals
def check_coupled(c, a, d, q, r, l):
    (b, e), f = second_pencil(c, a)
    return [(x @ r - l @ wide(y) - wide(f), norm(x) * norm(r) + norm(l) * norm(wide(y)) + norm(wide(f))) for x, y in ((a, b), (d, e))]


def plant(c, a, b):
    """A plant whose states can all be controlled, and seen, in no time: it has a stabilizing solution."""
    a, b = near_one(a, b)
    eye = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    return a, np.concatenate([b, eye], axis=-1), np.array(eye), np.eye(2 * a.shape[-1], dtype=a.dtype)


def run_care(c, backend, a, b):
    return (tfqz.solve_continuous_are(*plant(c, a, b), backend=backend, on_failure="nan"),)


def run_dare(c, backend, a, b):
    return (tfqz.solve_discrete_are(*plant(c, a, b), backend=backend, on_failure="nan"),)


def check_care(c, backend, a, b, outputs):
    """The residual, and that x > 0 is Hermitian, which of all solutions is the stabilizing one alone."""
    a, b, q, _ = map(wide, plant(c, a, b))
    x = wide(outputs[0])
    residual = H(a) @ x + x @ a - x @ b @ H(b) @ x + q
    return positive(outputs[0], residual, 2 * norm(a) * norm(x) + (norm(x) * norm(b)) ** 2 + norm(q))


def check_dare(c, backend, a, b, outputs):
    a, b, q, r = map(wide, plant(c, a, b))
    x = wide(outputs[0])
    inner = (r + H(b) @ x @ b).astype(complex)
    gain = np.linalg.solve(inner, (H(b) @ x @ a).astype(complex))
    residual = H(a) @ x @ a - x - H(a) @ x @ b @ gain + q
    return positive(outputs[0], residual, (2 * norm(a) ** 2 + 1) * norm(x) + norm(q))


def positive(x, residual, size):
    relative, _ = properties.precision(x.dtype, len(x))
    least = np.linalg.eigvalsh(x.astype(np.result_type(x, np.float64))).min(initial=np.inf)
    return {
        "residual": properties.ratio(norm(residual), relative * size),
        "stabilizing": properties.holds(np.array_equal(x, H(x)) and least > 0),
    }


def model(c, a, b):
    """(I - X L^-1) (1 - T L) of a model whose policy T has eigenvalues up to 1/2, and the others are those of X, inverted: 2 at least."""
    sizes = (2 * np.maximum(np.linalg.norm(x, axis=(-2, -1), keepdims=True), 1) for x in near_one(a, b))
    with np.errstate(invalid="ignore"):
        T, X = (x / size.astype(x.real.dtype) for x, size in zip(near_one(a, b), sizes))
    unit = np.linalg.qr(right_hand_side(c, a))[0]
    eye = np.eye(a.shape[-1], dtype=a.dtype)
    return [unit @ x for x in (T, -(eye + X @ T), X)]


def run_klein(c, backend, a, b):
    found = tfqz.klein(*model(c, a, b), backend=backend, on_failure="nan")
    return found.policy, found.unique


def check_klein(c, backend, a, b, outputs):
    T, unique = outputs
    relative, _ = properties.precision(T.dtype, len(T))
    of_last, of_this, of_next = map(wide, model(c, a, b))
    T = wide(T)
    size = norm(of_last) + norm(of_this) * norm(T) + norm(of_next) * norm(T) ** 2
    error = properties.ratio(norm(of_last + of_this @ T + of_next @ T @ T), relative * size)
    return {"residual": error, "unique": properties.holds(unique == 0)}


def system(a, b):
    """P and N of the system with one input and one output."""
    a, b = near_one(a, b)
    mass = np.array(b)
    mass[..., -1, :] = mass[..., :, -1] = 0
    return a, mass


def run_zeros(c, backend, a, b):
    if a.shape[-1] == 0:
        return tf.zeros(a.shape[:-1], tf.complex128), tf.zeros(a.shape[:-1], tf.bool)
    whole, mass = system(a, b)
    parts = whole[..., :-1, :-1], whole[..., :-1, -1:], whole[..., -1:, :-1], whole[..., -1:, -1:], mass[..., :-1, :-1]
    zeros = tfqz.transmission_zeros(*parts, backend="scipy" if backend == "graph" else backend, on_failure="nan")
    infinite = tf.math.is_inf(tf.math.real(zeros))  # the others first, then as many of these as there are states left
    return tf.where(infinite, tf.zeros_like(zeros), zeros), infinite


def check_zeros(c, backend, a, b, outputs):
    """P - z N is as good as singular, in the units of states that balance them. Each decision about a rank may lose what
    `tolerances.system_rank` says, and there are n at most."""
    n = len(a)
    if n == 0:
        return {}
    whole, mass = system(a, b)
    chosen = _backends.choose("scipy" if backend == "graph" else backend)
    # Errors that are small there may be large beside the largest entry as it was.
    pencil = zeros_of_systems.with_balanced_states(tf.constant(whole), tf.constant(mass), n - 1, chosen)
    whole, mass = (x.numpy().astype(np.result_type(a, np.float64)) for x in pencil)
    errors = []
    zeros, infinite = outputs
    for z in zeros[~infinite].astype(complex):
        smallest = np.linalg.svd(whole - z * mass, compute_uv=False)[-1]
        errors.append(smallest / (np.linalg.norm(whole) + abs(z) * np.linalg.norm(mass)))
    return {"zeros": properties.ratio(errors, (properties.THRESHOLD + n**2) * n * float(np.finfo(a.dtype).eps))}
