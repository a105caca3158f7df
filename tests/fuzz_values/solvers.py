"""Solvers of linear equations whose coefficients are made of the two matrices of a pencil; control.py has others.

The matrices are brought near 1 first, since products of them are what the equations are about. What is asked of a solution is what is left
of its equation; of a gradient, what is left of the adjoint one, whose solution is the cotangent of the right-hand side, and that the other
cotangents are the products of both solutions that they have to be: nothing here depends on how near to singular an equation is.
"""

import numpy as np
from functionals import deviates

import tfqz
from fuzz_values import properties
from fuzz_values.properties import H, exponent_of, norm, times, wide


class Solver:
    """An equation, or a set of them. Matrices are in extended precision, but of `given` and `solve`.

    function: what solves it, if `solve` says nothing else.
    """

    function = None

    def given(self, c, a, b):
        """The arguments, of an element or of a batch."""
        raise NotImplementedError

    def solve(self, *arguments, **options):
        """The solutions."""
        found = self.function(*arguments, **options)
        return found if isinstance(found, tuple) else [found]

    def residuals(self, *arguments_and_solutions):
        """[(what is left of an equation, the size of the terms whose sum it is)]."""
        raise NotImplementedError

    def reach(self, *arguments_and_solutions):
        """The size of the terms of the derivative's equation over that of its unknowns."""
        raise NotImplementedError

    def adjoint(self, *arguments_and_solutions, of_solutions, of_arguments):
        """The unknowns of the adjoint equations, [(what is left of one, its right-hand side)], and [(error of another cotangent, size)]."""
        raise NotImplementedError

    def growth(self, relative, *arguments):
        """How much larger than `relative` times such sizes errors may be; inf where nothing is asked."""
        return 1

    def run(self, c, backend, *arguments):
        return tuple(self.solve(*arguments, backend=backend, on_failure="nan"))

    def bounds(self, c, a, b, outputs):
        """Arguments and differentiable solutions in extended precision, and what errors may be relative to sizes; None for the latter
        where nothing is asked."""
        arguments = self.given(c, a, b)
        relative = float(properties.precision(a.dtype, len(a))[0])
        relative *= self.growth(relative, *arguments)
        return [wide(x) for x in (*arguments, *self.differentiable(outputs))], relative if relative < 1 else None

    def check(self, c, backend, a, b, outputs):
        matrices, relative = self.bounds(c, a, b, outputs)
        if relative is None:
            return {}
        return {"residual": properties.max_ratio([properties.ratio(norm(x), relative * size) for x, size in self.residuals(*matrices)])}

    def differentiable(self, outputs):
        """Of all outputs those that have a derivative."""
        return outputs

    def check_gradient(self, c, a, b, outputs, of_solutions, of_arguments):
        matrices, relative = self.bounds(c, a, b, outputs)
        if relative is None:
            return {}
        bars = {"of_solutions": list(map(wide, of_solutions)), "of_arguments": list(map(wide, of_arguments))}
        unknowns, left, others = self.adjoint(*matrices, **bars)
        size = self.reach(*matrices) * total(unknowns)
        found = [(x, size + norm(right)) for x, right in left] + others
        return {"adjoint": properties.max_ratio([properties.ratio(norm(x), relative * size) for x, size in found])}

    def check_forward(self, c, a, b, outputs, of_solutions, of_arguments, moves, changes):
        """<cotangents, derivative of the solutions along `moves`> is <gradient, moves>."""
        matrices, relative = self.bounds(c, a, b, outputs)
        if relative is None:
            return {}
        bars, found, moves, changes = (list(map(wide, x)) for x in (of_solutions, of_arguments, moves, changes))
        unknowns = self.adjoint(*matrices, of_solutions=bars, of_arguments=found)[0]
        size = self.reach(*matrices) * total(unknowns) * total(changes)
        size += sum(norm(x) * norm(y) for x, y in zip((*bars, *found), (*changes, *moves)))
        return {"forward mode": properties.ratio(abs(inner(bars, changes) - inner(found, moves)), relative * size)}


def near_one(*matrices):
    """[..., n, n] each, times powers of two by which largest entries are near 1."""
    return [np.stack([times(y, -exponent_of(y)) for y in x]) if x.ndim > 2 else times(x, -exponent_of(x)) for x in matrices]


def random(c, a, rows=None, columns=None, other=0):
    """Deviates, the same for each element: n x n if nothing else is said."""
    n = a.shape[-1]
    shape = n if rows is None else rows, n if columns is None else columns
    return np.array(np.broadcast_to(deviates(np.random.default_rng(c.seed + other), shape, a.dtype), (*a.shape[:-2], *shape)))


def total(matrices):
    return np.sqrt(sum(norm(x) ** 2 for x in matrices))


def inner(xs, ys):
    return sum(np.real(np.sum(x.conj() * y)) for x, y in zip(xs, ys))


class Sylvester(Solver):
    """a x + x b = q."""

    function = staticmethod(tfqz.solve_sylvester)

    def given(self, c, a, b):
        return [*near_one(a, b), random(c, a)]

    def residuals(self, a, b, q, x):
        return [(a @ x + x @ b - q, (norm(a) + norm(b)) * norm(x) + norm(q))]

    def reach(self, a, b, q, x):
        return norm(a) + norm(b)

    def adjoint(self, a, b, q, x, of_solutions, of_arguments):
        (bar,), (of_a, of_b, p) = of_solutions, of_arguments
        size = norm(p) * norm(x)
        return [p], [(H(a) @ p + p @ H(b) - bar, bar)], [(of_a + p @ H(x), size), (of_b + H(x) @ p, size)]


class Lyapunov(Solver):
    """a x + x a^H = q."""

    function = staticmethod(tfqz.solve_continuous_lyapunov)

    def given(self, c, a, b):
        return [*near_one(a), random(c, a)]

    def residuals(self, a, q, x):
        return [(a @ x + x @ H(a) - q, 2 * norm(a) * norm(x) + norm(q))]

    def reach(self, a, q, x):
        return 2 * norm(a)

    def adjoint(self, a, q, x, of_solutions, of_arguments):
        (bar,), (of_a, p) = of_solutions, of_arguments
        return [p], [(H(a) @ p + p @ a - bar, bar)], [(of_a + p @ H(x) + H(p) @ x, 2 * norm(p) * norm(x))]


class DescriptorLyapunov(Solver):
    """a x e^H + e x a^H = q."""

    function = staticmethod(tfqz.solve_continuous_lyapunov)

    def given(self, c, a, b):
        a, e = near_one(a, b)
        return [a, random(c, a), e]

    def growth(self, relative, a, q, e):
        """x comes from T x by T^-1: errors of rounding grow by its condition, and those of the step that corrects them by that of the
        equation as well. Nothing is asked where both together leave no digit."""
        condition = np.linalg.cond(e) if e.size else 1.0
        if condition <= 1e3:
            return 1
        whole = np.kron(e.conj(), a) + np.kron(a.conj(), e) if len(a) <= 12 else None
        return max(1, 16 * condition * relative * (np.inf if whole is None else np.linalg.cond(whole)))

    def residuals(self, a, q, e, x):
        return [(a @ x @ H(e) + e @ x @ H(a) - q, 2 * norm(a) * norm(x) * norm(e) + norm(q))]

    def reach(self, a, q, e, x):
        return 2 * norm(a) * norm(e)

    def adjoint(self, a, q, e, x, of_solutions, of_arguments):
        (bar,), (of_a, p, of_e) = of_solutions, of_arguments
        size = 2 * norm(p) * norm(x)
        others = [(of_a + p @ e @ H(x) + H(p) @ e @ x, size * norm(e)), (of_e + p @ a @ H(x) + H(p) @ a @ x, size * norm(a))]
        return [p], [(H(a) @ p @ e + H(e) @ p @ a - bar, bar)], others


class Stein(Lyapunov):
    """a x a^H - x + q = 0."""

    function = staticmethod(tfqz.solve_discrete_lyapunov)

    def residuals(self, a, q, x):
        return [(a @ x @ H(a) - x + q, (norm(a) ** 2 + 1) * norm(x) + norm(q))]

    def reach(self, a, q, x):
        return norm(a) ** 2 + 1

    def adjoint(self, a, q, x, of_solutions, of_arguments):
        (bar,), (of_a, p) = of_solutions, of_arguments
        others = [(of_a - p @ a @ H(x) - H(p) @ a @ x, 2 * norm(p) * norm(a) * norm(x))]
        return [p], [(p - H(a) @ p @ a - bar, bar)], others


class CoupledSylvester(Solver):
    """a r - l b = f, d r - l e = g; b and e of order 3."""

    function = staticmethod(tfqz.solve_generalized_sylvester)

    def given(self, c, a, b):
        a, d = near_one(a, b)
        b, e = (random(c, a, 3, 3, other) for other in (1, 2))
        f, g = (random(c, a, None, 3, other) for other in (3, 4))
        return [a, b, f, d, e, g]

    def residuals(self, a, b, f, d, e, g, r, l):
        return [(x @ r - l @ y - right, norm(x) * norm(r) + norm(l) * norm(y) + norm(right)) for x, y, right in ((a, b, f), (d, e, g))]

    def reach(self, a, b, f, d, e, g, r, l):
        return total([a, b, d, e])

    def adjoint(self, a, b, f, d, e, g, r, l, of_solutions, of_arguments):
        (of_r, of_l), (of_a, of_b, p, of_d, of_e, q) = of_solutions, of_arguments
        left = [(H(a) @ p + H(d) @ q - of_r, of_r), (p @ H(b) + q @ H(e) + of_l, of_l)]
        others = [(bar + x @ H(r), norm(x) * norm(r)) for bar, x in ((of_a, p), (of_d, q))]
        others += [(bar - H(l) @ x, norm(x) * norm(l)) for bar, x in ((of_b, p), (of_e, q))]
        return [p, q], left, others
