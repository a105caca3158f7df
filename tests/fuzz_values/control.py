"""Riccati equations and models with expectations, made of the two matrices of a pencil so that they have one solution; zeros of systems."""

import numpy as np
import tensorflow as tf

import tfqz
from fuzz_values import properties
from fuzz_values.properties import H, norm, times
from fuzz_values.solvers import Solver, near_one, random
from tfqz import _backends
from tfqz._api import zeros_units


def weight_of(r):
    """What r is times the identity."""
    return r[0, 0] if r.size else 1


class ContinuousRiccati(Solver):
    """Of a plant whose states can all be controlled, and seen, in no time: it has a stabilizing solution. Costs and inputs are in any
    units. `descriptor`: with e and s."""

    function = staticmethod(tfqz.solve_continuous_are)

    def __init__(self, descriptor=False):
        self.descriptor = descriptor

    def given(self, c, a, b):
        a, b = near_one(a, b)
        eye = np.array(np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape))
        of_inputs = np.eye(2 * a.shape[-1], dtype=a.dtype)
        b = np.concatenate([b, eye], axis=-1)
        r = np.array(np.broadcast_to(of_inputs, (*a.shape[:-2], *of_inputs.shape)))
        rng, most = np.random.default_rng(c.seed), np.finfo(a.dtype).maxexp // 4
        of_costs, of_inputs = int(rng.integers(-most, most)), int(rng.integers(-most // 2, most // 2))
        b, r = times(b, of_inputs), times(r, of_costs + 2 * of_inputs)
        if not self.descriptor:
            return [a, b, times(eye, of_costs), r]
        s = random(c, a, None, r.shape[-1]) / 2
        q, s = times(eye + s @ H(s), of_costs), times(s, of_costs + of_inputs)
        return [a, b, q, r, np.linalg.qr(random(c, a, other=1))[0], s]

    def check(self, c, backend, a, b, outputs):
        """That x > 0 is Hermitian, too, which of all solutions is the stabilizing one alone."""
        (x,) = outputs
        least = np.linalg.eigvalsh(x.astype(np.result_type(x, np.float64))).min(initial=np.inf)
        stabilizing = properties.holds(np.array_equal(x, H(x)) and least > 0)
        return super().check(c, backend, a, b, outputs) | {"stabilizing": stabilizing}

    def terms(self, a, b, q, r, *others):
        """x, e, K, the closed loop, and the size of the closed loop's terms."""
        *others, x = others
        e, s = others or (np.eye(len(a)), np.zeros_like(b))
        K = self.gain(a, b, r, e, s, x)
        return x, e, K, a - b @ K, norm(a) + norm(b) * norm(K)

    def gain(self, a, b, r, e, s, x):
        return H(H(e) @ x @ b + s) / weight_of(r)

    def residuals(self, a, b, q, r, *others):
        x, e, K, _, _ = self.terms(a, b, q, r, *others)
        residual = H(a) @ x @ e + H(e) @ x @ a - H(K) @ r @ K + q
        return [(residual, 2 * norm(a) * norm(x) * norm(e) + (norm(e) * norm(x) * norm(b)) ** 2 / weight_of(r) + norm(q))]

    def reach(self, *matrices):
        _, e, _, _, size = self.terms(*matrices)
        return 2 * size * norm(e)

    def adjoint(self, *matrices, of_solutions, of_arguments):
        x, e, K, closed, size = self.terms(*matrices)
        (bar,), p = of_solutions, of_arguments[2]
        bar = (bar + H(bar)) / 2
        left, *halves = self.of_multiplier(x, e, closed, size, p)
        return [p], [(left + bar, bar)], self.others(of_arguments, p, K, *halves)

    def of_multiplier(self, x, e, closed, size, p):
        """The left-hand side of the equation of p; what half of the cotangents of a and of e is of p, and sizes of these."""
        return closed @ p @ H(e) + e @ p @ H(closed), (x @ e, norm(x) * norm(e)), (x @ closed, norm(x) * size)

    def others(self, of_arguments, p, K, of_a, of_e):
        """Errors of other cotangents than p; `of_a`, `of_e` are `of_multiplier`'s."""
        pK, size = p @ H(K), norm(p) * norm(K)
        left, length = of_a
        expected = [(2 * left @ p, 2 * length * norm(p)), (-2 * left @ pK, 2 * length * size), (K @ pK, norm(K) * size)]
        if self.descriptor:
            left, length = of_e
            expected += [(2 * left @ p, 2 * length * norm(p)), (-2 * pK, 2 * size)]
        found = [x for k, x in enumerate(of_arguments) if k != 2]
        return [(x - y, size) for x, (y, size) in zip(found, expected, strict=True)]


class DiscreteRiccati(ContinuousRiccati):
    function = staticmethod(tfqz.solve_discrete_are)

    def gain(self, a, b, r, e, s, x):
        inner, right = r + H(b) @ x @ b, H(b) @ x @ a + H(s)
        return np.linalg.solve(inner.astype(complex), right.astype(complex))

    def residuals(self, a, b, q, r, *others):
        x, e, K, _, _ = self.terms(a, b, q, r, *others)
        s = others[1] if self.descriptor else 0
        residual = H(a) @ x @ a - H(e) @ x @ e - (H(a) @ x @ b + s) @ K + q
        return [(residual, (2 * norm(a) ** 2 + norm(e) ** 2) * norm(x) + norm(q))]

    def reach(self, *matrices):
        _, e, _, _, size = self.terms(*matrices)
        return size**2 + norm(e) ** 2

    def of_multiplier(self, x, e, closed, size, p):
        return closed @ p @ H(closed) - e @ p @ H(e), (x @ closed, norm(x) * size), (-x @ e, norm(x) * norm(e))


class Klein(Solver):
    """(I - X L^-1) (1 - T L) of a model whose policy T has eigenvalues up to 1/2, and the others are those of X, inverted: 2 at least."""

    def given(self, c, a, b):
        sizes = (2 * np.maximum(np.linalg.norm(x, axis=(-2, -1), keepdims=True), 1) for x in near_one(a, b))
        with np.errstate(invalid="ignore"):
            T, X = (x / size.astype(x.real.dtype) for x, size in zip(near_one(a, b), sizes))
        unit = np.linalg.qr(random(c, a))[0]
        return [unit @ x for x in (T, -(np.eye(a.shape[-1], dtype=a.dtype) + X @ T), X)]

    def solve(self, *arguments, **options):
        found = tfqz.klein(*arguments, **options)
        return found.policy, found.unique

    def differentiable(self, outputs):
        return outputs[:1]

    def residuals(self, last, this, next_, T):
        size = norm(last) + norm(this) * norm(T) + norm(next_) * norm(T) ** 2
        return [(last + this @ T + next_ @ T @ T, size)]

    def check(self, c, backend, a, b, outputs):
        unique = properties.holds(outputs[1] == 0)
        return super().check(c, backend, a, b, outputs) | {"unique": unique}

    def reach(self, last, this, next_, T):
        return norm(this) + 2 * norm(next_) * norm(T)

    def adjoint(self, last, this, next_, T, of_solutions, of_arguments):
        (bar,), (p, of_this, of_next) = of_solutions, of_arguments
        left = H(this + next_ @ T) @ p + H(next_) @ p @ H(T) + bar
        pT, size = p @ H(T), norm(p) * norm(T)
        return [p], [(left, bar)], [(of_this - pT, size), (of_next - pT @ H(T), size * norm(T))]


class Zeros(Solver):
    """Of the system with one input and one output."""

    def given(self, c, a, b):
        whole, mass = self.system(a, b)
        return [whole[..., :-1, :-1], whole[..., :-1, -1:], whole[..., -1:, :-1], whole[..., -1:, -1:], mass[..., :-1, :-1]]

    def system(self, a, b):
        """P and N."""
        a, b = near_one(a, b)
        mass = np.array(b)
        mass[..., -1:, :] = mass[..., :, -1:] = 0
        return a, mass

    def solve(self, *arguments, backend, on_failure):
        if arguments[-2].shape[-1] == 0:  # no pencil, and no output
            empty = arguments[0].shape[:-1]
            return tf.zeros(empty, tf.complex128), tf.zeros(empty, tf.bool)
        zeros = tfqz.transmission_zeros(*arguments, backend="scipy" if backend == "graph" else backend, on_failure=on_failure)
        infinite = tf.math.is_inf(tf.math.real(zeros))  # the others first, then as many of these as there are states left
        return tf.where(infinite, tf.zeros_like(zeros), zeros), infinite

    def differentiable(self, outputs):
        return outputs[:1]

    def check(self, c, backend, a, b, outputs):
        """P - z N is as good as singular, in the units that balance them. Each decision about a rank may lose what
        `tolerances.system_rank` says, and there are n at most."""
        n = len(a)
        if n == 0:
            return {}
        whole, mass = self.system(a, b)
        chosen = _backends.choose("scipy" if backend == "graph" else backend)
        # Errors that are small there may be large beside the largest entry as it was.
        pencil = zeros_units.in_units(tf.constant(whole), tf.constant(mass), n - 1, chosen)
        whole, mass = (x.numpy().astype(np.result_type(a, np.float64)) for x in pencil)
        errors = []
        zeros, infinite = outputs
        for z in zeros[~infinite].astype(complex):
            smallest = np.linalg.svd(whole - z * mass, compute_uv=False)[-1]
            errors.append(smallest / (np.linalg.norm(whole) + abs(z) * np.linalg.norm(mass)))
        return {"zeros": properties.ratio(errors, (properties.THRESHOLD + n**2) * n * float(np.finfo(a.dtype).eps))}

    def growth(self, *_):
        """Zeros of high order have large derivatives, without a bound."""
        return np.inf
