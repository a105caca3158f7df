"""Solvers of equations whose coefficients are the two matrices of a pencil, and zeros of the system that it is cut into.

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


def run_sylvester(c, backend, a, b):
    a, b = near_one(a, b)
    return (tfqz.solve_sylvester(a, b, right_hand_side(c, a), backend=backend, on_failure="nan"),)


def run_lyapunov(c, backend, a, b):
    (a,) = near_one(a)
    return (tfqz.solve_continuous_lyapunov(a, right_hand_side(c, a), backend=backend, on_failure="nan"),)


def check(residual, size):
    """A check of the residual of A, B, X and the right-hand side, by the size of the terms whose sum it is, but for X."""

    def of_element(c, backend, a, b, outputs):
        relative, _ = properties.precision(a.dtype, len(a))
        a, b, x, q = map(wide, (*near_one(a, b), *outputs, right_hand_side(c, a)))
        return {"residual": properties.ratio(norm(residual(a, b, x, q)), relative * (size(norm(a), norm(b)) * norm(x) + norm(q)))}

    return of_element


check_sylvester = check(lambda a, b, x, q: a @ x + x @ b - q, lambda a, b: a + b)
check_lyapunov = check(lambda a, b, x, q: a @ x + x @ H(a) - q, lambda a, b: 2 * a)


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
