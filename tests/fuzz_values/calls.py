"""The functions of a pencil, and what has to be true of their results.

Each call has `run`, from a configuration and a batch to the tensors, with the powers of the scales of A and of B that each is times; and
`check`, from one element and its results to ratios by property.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

import tfqz
from fuzz_values import control, properties, solvers, sorts
from fuzz_values.properties import H, max_ratio, wide

ONE, OF_A, OF_B = (0, 0), (1, 0), (0, 1)


@dataclasses.dataclass(frozen=True)
class Call:
    """What a function is asked for.

    run: (configuration, backend, a, b) -> tensors, those that have a derivative first.
    degrees: of these, the powers of the scales of A and B.
    check: (configuration, backend, a, b, outputs) -> {property: ratio}, of one element that didn't fail.
    square: whether it is for square pencils only.
    alone: whether results are promised to be the same bits alone and in a batch, of the native backend.
    may_refuse: whether a pencil may be too ill-conditioned for it.
    solver: of an equation, whose gradient is asked for by its own arguments.
    """

    run: Callable
    degrees: tuple
    check: Callable
    square: bool = False
    alone: bool = True
    may_refuse: bool = False
    solver: solvers.Solver | None = None


def options(c, *names):
    given = {"rank": c.rank, "balance": c.balance, "output": c.output, "tolerance": c.tolerance}
    return {name: given[name] for name in names if given[name] or name == "output"}


def run_qz(c, backend, a, b):
    return tfqz.qz(a, b, **options(c, "output", "rank", "balance"), backend=backend, on_failure="nan")


def run_ordqz(c, backend, a, b):
    names = "output", "rank", "balance", "tolerance"
    return tfqz.ordqz(a, b, sorts.SORTS[c.sort], **options(c, *names), return_sdim=True, backend=backend, on_failure="nan")


def run_eigvals(c, backend, a, b):
    both = tfqz.eigvals(a, b, True, **options(c, "rank", "balance"), backend=backend, on_failure="nan")
    ratios = tfqz.eigvals(a, b, False, **options(c, "rank", "balance"), backend=backend, on_failure="nan")
    return both[..., 0, :], both[..., 1, :], ratios


def run_eig(c, backend, a, b):
    both, left, right = tfqz.eig(a, b, True, True, True, backend=backend, on_failure="nan")
    return both[..., 0, :], both[..., 1, :], left, right


def run_subspace(c, backend, a, b):
    names = "output", "rank", "balance", "tolerance"
    return tfqz.deflating_subspace(a, b, sorts.SORTS[c.sort], **options(c, *names), backend=backend, on_failure="nan")


def run_schur(c, backend, a, b):
    return tfqz.schur(a, **options(c, "output"), backend=backend, on_failure="nan")


def run_balance(c, backend, a, b):
    return tfqz.balance(a, b, backend=backend)


def check_factors(c, a, b, s, t, q, z):
    """Of `qz`: square, rectangular, of a rank or balanced."""
    m, n = a.shape
    if c.balance:  # whose factors may miss more of A and B, but not more than half of the digits
        found = {"unitarity": max(map(properties.unitarity, (q, z))), "pattern": properties.pattern(s, t)}
        if not properties.has_few_digits(a, b):  # which TensorFlow's ops take for fewer
            loss = float(np.finfo(s.dtype).eps) ** -0.5
            found["residual"] = max(properties.residual(x, q, y, z, loss) for x, y in ((a, s), (b, t)))
        return found
    if c.rank:
        return check_truncated(c, a, b, s, t, q, z)
    found = {"unitarity": max(map(properties.unitarity, (q, z)))}
    found["residual"] = properties.residual(a, q, s, z)
    if m == n:
        found["residual"] = max_ratio([found["residual"], properties.residual(b, q, t, z)])
        found["pattern"] = properties.pattern(s, t)
        return found | {"convention": properties.canonical(s, t, q, z)}
    p = min(m, n)
    s1, t1, z1 = s[m - p :, :p], t[m - p :, :p], z[:, :p]
    # B loses what the decision about its rank takes for nothing, of up to p columns.
    relative, absolute = properties.precision(s.dtype, max(m, n))
    lost = 8 * max(m, n) * p * wide(np.finfo(s.dtype).eps) * properties.norm(wide(b))
    error = properties.norm(wide(b) - wide(q) @ wide(t) @ H(wide(z)))
    found["residual"] = max_ratio([found["residual"], properties.ratio(error, relative * properties.norm(wide(b)) + absolute + lost)])
    beside = np.array(t)
    beside[m - p :, :p] = 0
    found["pattern"] = max_ratio([properties.pattern(s1, t1), properties.holds(not beside.any())])
    diagonal = np.diag(t1)
    found["convention"] = max_ratio(
        [properties.positive_in_columns(z1), properties.holds(np.all(diagonal.imag == 0) and np.all(diagonal.real >= 0))]
    )
    return found


def check_truncated(c, a, b, s, t, q, z):
    """Q T Z^H is as near to B as a matrix of this rank can be, and S is Q^H A Z."""
    found = {"unitarity": max(map(properties.unitarity, (q, z))), "pattern": properties.pattern(s, t)}
    relative, absolute = properties.precision(s.dtype, max(a.shape))
    product = H(wide(q)) @ wide(a) @ wide(z)
    found["residual"] = properties.ratio(properties.norm(product - wide(s)), relative * properties.norm(wide(a)) + absolute)
    scale = properties.norm(wide(b)) or wide(1.0)
    rest = (wide(b) - wide(q) @ wide(t) @ H(wide(z))) / scale
    whole, left = (np.linalg.svd(x.astype(np.result_type(s.dtype, np.float64)), compute_uv=False) for x in (wide(b) / scale, rest))
    smallest = whole[c.rank] if c.rank < len(whole) else 0.0
    return found | {"best approximation": properties.ratio(left[0] - smallest, relative + absolute / scale) if left[0] > smallest else 0.0}


def check_qz(c, backend, a, b, outputs):
    return check_factors(c, a, b, *outputs)


def check_ordqz(c, backend, a, b, outputs):
    s, t, alpha, beta, q, z, sdim = outputs
    found = check_factors(c, a, b, s, t, q, z)
    m, p = len(a), len(alpha)
    if not properties.has_few_digits(a, b):  # of which alpha and beta have others in the end
        found["order"] = sorts.broken(c.sort, c.tolerance, s[m - p :, :p] if not c.rank else s, alpha, beta, sdim)
    if a.shape[0] == a.shape[1] and not c.balance and not c.rank:
        found["eigenvalues"] = properties.eigenvalues(a, b, alpha, beta)
    return found


def check_eigvals(c, backend, a, b, outputs):
    alpha, beta, ratios = outputs
    if a.shape[0] != a.shape[1] or c.rank:
        return {}
    if c.balance:
        a, b = (x.numpy() for x in tfqz.balance(a, b, backend=backend)[:2])
    with np.errstate(all="ignore"):
        expected = wide(alpha) / wide(beta)
        limits = np.finfo(ratios.dtype)
        ordinary = (np.abs(expected) > limits.tiny * 4) & (np.abs(expected) < limits.max / 4)
        ordinary &= np.all([properties.seen_in_ops(x) for x in (alpha, beta, expected.astype(ratios.dtype))], axis=0)
        error = np.abs(wide(ratios) - expected)[ordinary]
    found = {"quotient": properties.ratio(error / np.abs(expected[ordinary]), 8 * limits.eps)}
    return found | check_eigenvalues(a, b, alpha, beta)


def check_eigenvalues(a, b, alpha, beta):
    real = properties.holds(np.all(beta.imag == 0) and np.all(beta.real >= 0))
    found = {"eigenvalues": max_ratio([real, properties.eigenvalues(a, b, alpha, beta)])}
    if 0 < len(a) <= 30 and (expected := properties.reference(a, b, a.dtype)) is not None:
        found["all eigenvalues"] = properties.near_reference(alpha, beta, expected)
    return found


def check_eig(c, backend, a, b, outputs):
    alpha, beta, left, right = outputs
    _, _, norms = properties.over_norms(a, b)
    length = properties.points(alpha, beta, norms)[2]
    determined = length > 4 * len(a) * np.finfo(a.dtype).eps + len(a) * properties.denormal_share(a.dtype, norms)
    found = check_eigenvalues(a, b, alpha, beta)
    found["vectors"] = max_ratio([properties.vectors(a, b, right[:, determined]), properties.vectors(H(a), H(b), left[:, determined])])
    found["convention"] = max(map(properties.positive_in_columns, (left, right)))
    if not np.iscomplexobj(a) and properties.denormal_share(a.dtype, norms) < np.finfo(a.dtype).eps:
        first = np.flatnonzero(alpha.imag > 0)
        first = first[first + 1 < len(alpha)]
        # To the last bit by the C++ op; TensorFlow's products round columns in their own ways.
        errors = [np.abs(v[:, first] - v[:, first + 1].conj()).max(initial=0) for v in (left, right)]
        # An imaginary part of next to the smallest numbers may have become 0 where a block stays.
        limits = np.finfo(a.dtype)
        real = (alpha.imag == 0) & ((norms[0] > limits.tiny / limits.eps) | (np.abs(alpha) > 4 * limits.smallest_subnormal))
        errors += [np.abs(v[:, real].imag).max(initial=0) for v in (left, right)]
        found["pairs"] = properties.ratio(errors, 0 if backend == "native" else float(properties.precision(a.dtype, len(a))[0]))
    return found


def check_subspace(c, backend, a, b, outputs):
    right, left, right_projector, left_projector, dimension = outputs
    m, n = a.shape
    inside = np.arange(right.shape[1]) < dimension
    found = {}
    for basis, projector in ((right, right_projector), (left, left_projector)):
        relative, _ = properties.precision(basis.dtype, len(basis))
        gram, onto = H(wide(basis)) @ wide(basis), wide(basis) @ H(wide(basis))
        errors = properties.norm(gram - np.diag(inside.astype(float))), properties.norm(onto - wide(projector))
        found["bases"] = max_ratio(
            [found.get("bases", 0.0), properties.ratio(errors, relative), properties.holds(not basis[:, ~inside].any())]
        )
    if not c.balance and not c.rank and m <= n:
        # Of a wide pencil whose B has lost rank up to rounding it is deflating up to what that decision loses.
        slack = 1 if m == n else 1 + 8 * m / properties.THRESHOLD
        ratios = [properties.invariance(x, right_projector, left_projector) / slack for x in (a, b)]
        found["invariance"] = max_ratio(ratios)
    return found


def check_schur(c, backend, a, b, outputs):
    t, z = outputs
    found = {
        "residual": properties.residual(a, z, t, z),
        "unitarity": properties.unitarity(z),
        "convention": properties.positive_in_columns(z),
    }
    below = np.diag(t, -1)
    good = not np.tril(t, -2).any() and not np.any((below[1:] != 0) & (below[:-1] != 0))
    for j in np.flatnonzero(below):
        (p, x), (y, u) = t[j : j + 2, j : j + 2]
        good &= not np.iscomplexobj(t) and p == u and abs(x) >= abs(y) and np.sign(x) * np.sign(y) < 0
    return found | {"pattern": properties.holds(good)}


def check_balance(c, backend, a, b, outputs):
    """Exactly multiplied by powers of two; denormals may count as 0."""
    new_a, new_b, left, right = outputs
    good = all(np.all(np.frexp(x)[0] == 0.5) for x in (left, right))
    for x, y in ((a, new_a), (b, new_b)):
        expected = wide(left)[:, None] * wide(x) * wide(right)
        least = wide(np.finfo(x.dtype).tiny)
        for part in (np.real, np.imag):
            normal = (np.abs(part(wide(x))) >= least) & (np.abs(part(expected)) >= least)
            good &= np.array_equal(part(wide(y))[normal], part(expected)[normal])
    return {"exactly": properties.holds(good)}


def of_solver(solver, may_refuse=True):
    """Of an equation that may have no solution, if nothing else is said."""
    return Call(solver.run, (), solver.check, square=True, alone=False, may_refuse=may_refuse, solver=solver)


CALLS = {
    "qz": Call(run_qz, (OF_A, OF_B, ONE, ONE), check_qz),
    "ordqz": Call(run_ordqz, (OF_A, OF_B, OF_A, OF_B, ONE, ONE), check_ordqz, may_refuse=True),
    "eigvals": Call(run_eigvals, (OF_A, OF_B), check_eigvals),
    "eig": Call(run_eig, (OF_A, OF_B, ONE, ONE), check_eig, square=True),
    "deflating_subspace": Call(run_subspace, (ONE, ONE, ONE, ONE), check_subspace, alone=False, may_refuse=True),
    "schur": Call(run_schur, (OF_A, ONE), check_schur, square=True, alone=False),
    "balance": Call(run_balance, (), check_balance),
    "solve_sylvester": of_solver(solvers.Sylvester()),
    "solve_continuous_lyapunov": of_solver(solvers.Lyapunov()),
    "solve_continuous_lyapunov, e": of_solver(solvers.DescriptorLyapunov()),
    "solve_discrete_lyapunov": of_solver(solvers.Stein()),
    "solve_generalized_sylvester": of_solver(solvers.CoupledSylvester()),
    "solve_continuous_are": of_solver(control.ContinuousRiccati(), may_refuse=False),
    "solve_discrete_are": of_solver(control.DiscreteRiccati(), may_refuse=False),
    "solve_continuous_are, e": of_solver(control.ContinuousRiccati(descriptor=True), may_refuse=False),
    "solve_discrete_are, e": of_solver(control.DiscreteRiccati(descriptor=True), may_refuse=False),
    "klein": of_solver(control.Klein(), may_refuse=False),
    "transmission_zeros": of_solver(control.Zeros()),
}
