"""References that share no code with the package: central differences, SciPy's QZ made canonical.

All take and return NumPy arrays of one pencil, and factors in SciPy's order S, T, Q, Z with A = Q S Z^H, B = Q T Z^H.
<X, Y> = Re tr(X^H Y); the gradient of a real f is the G with df = <G, dX>, so for X = U + i V it is df/dU + i df/dV.
"""

import itertools
import warnings

import numpy as np
import scipy.linalg
from mpmath import mp


def inner(x, y):
    """<x, y> = Re tr(x^H y), for arrays of any shape."""
    return float(np.real(np.sum(np.conj(x) * y)))


def central_difference(f, a, b, da, db, step=None, order=2):
    """The derivative of `f` at (a, b) along (da, db); `f` returns a number, an array, or a tuple of equal shapes.

    order=2: (f(h) - f(-h)) / 2h. order=4: Richardson's (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h. The default step is
    relative to the smaller of |a| / |da| and |b| / |db|.
    """
    if step is None:
        ratios = [np.abs(x).max() / np.abs(dx).max() for x, dx in ((a, da), (b, db)) if np.any(x) and np.any(dx)]
        step = _power_of_two(_relative_step(a.dtype, order) * min(ratios, default=1.0))

    def odd_part(h):
        return np.asarray(f(a + h * da, b + h * db)) - np.asarray(f(a - h * da, b - h * db))

    if order == 2:
        return odd_part(step) / (2 * step)
    return (8 * odd_part(step) - odd_part(2 * step)) / (12 * step)


def central_gradient(f, a, b, step=None):
    """The gradient (Ab, Bb) of the real-valued `f` by central differences in every entry.

    `f` takes stacks of pencils, [k, n, n], and returns as many values; `step` is relative to the largest entry of `a` and of `b`.
    """
    step = step or _relative_step(a.dtype, 2)
    moved, steps = [], []

    def collect(da, db, scale):
        moved.extend((a + h * da, b + h * db) for h in (step * scale, -step * scale))
        steps.append(step * scale)
        return 0

    by_entries(collect, a, b)
    values = np.asarray(f(*(np.stack(x) for x in zip(*moved)))).reshape(-1, 2)
    derivatives = iter((values[:, 0] - values[:, 1]) / (2 * np.array(steps)))
    return by_entries(lambda *_: next(derivatives), a, b)


def _relative_step(dtype, order):
    """eps^(1/3) balances truncation h^2 against rounding eps / h. The balance for h^4, eps^(1/5), is a step that may
    well change LAPACK's order of the eigenvalues; eps^(1/4) still gives 1e-10.
    """
    return np.finfo(dtype).eps ** {2: 1 / 3, 4: 1 / 4}[order]


def _power_of_two(x):
    """The nearest power of two: a step without rounding errors of its own."""
    return float(2.0 ** np.round(np.log2(x)))


def by_entries(directional, a, b):
    """Collects `directional(da, db, scale)` over all unit directions, imaginary ones included where `a` is complex."""
    gradients = np.zeros_like(a), np.zeros_like(b)
    for which, x in enumerate((a, b)):
        scale = _power_of_two(np.abs(x).max()) if np.any(x) else 1.0
        for index in np.ndindex(x.shape):
            for unit in (1, 1j) if np.iscomplexobj(x) else (1,):
                direction = [np.zeros_like(a), np.zeros_like(b)]
                direction[which][index] = unit
                gradients[which][index] += unit * directional(*direction, scale)
    return gradients


def canonical(s, t, q, z):
    """Puts the factors of any QZ decomposition in the canonical form (in new arrays).

    Blocks: where S has a 2 x 2 block, T's is diag(a, d), a >= d > 0. Columns of Z: the largest entry is real and
    positive. Columns of Q: t_jj is real and >= 0; where it is 0, s_jj is; where both are 0, the largest entry of the
    column of Q. Arrays of mpmath numbers are welcome.
    """
    s, t, q, z = (np.array(x) for x in (s, t, q, z))
    n = len(s)
    for k in range(n - 1):
        if s[k + 1, k] == 0:
            continue
        # A block that is in the form is left alone: where a = d its SVD is not unique, and LAPACK's choice stands.
        if t[k, k + 1] != 0 or t[k + 1, k] != 0 or abs(t[k, k]) < abs(t[k + 1, k + 1]):
            left, right = _singular_vectors(t[k : k + 2, k : k + 2])
            for x in (s, t):
                x[k : k + 2, :] = left.T @ x[k : k + 2, :]
                x[:, k : k + 2] = x[:, k : k + 2] @ right
            q[:, k : k + 2] = q[:, k : k + 2] @ left
            z[:, k : k + 2] = z[:, k : k + 2] @ right
            t[k, k + 1] = t[k + 1, k] = 0
    for j in range(n):
        largest = _largest(z[:, j])
        phase = _phase(z[largest, j])
        for x in (s, t, z):
            x[:, j] = x[:, j] / phase
        z[largest, j] = abs(z[largest, j])
    for j in range(n):
        if t[j, j] != 0:
            phase = _phase(t[j, j])
        elif s[j, j] != 0:
            phase = _phase(s[j, j])
        else:
            largest = _largest(q[:, j])
            phase = _phase(np.conj(q[largest, j]))
        q[:, j] = q[:, j] * phase
        s[j, :] = s[j, :] / phase
        t[j, :] = t[j, :] / phase
        if t[j, j] == 0:
            s[j, j] = abs(s[j, j])
        t[j, j] = abs(t[j, j])
    return s, t, q, z


def _phase(x):
    """x / |x|, of numbers near the ends of the range as well, where NumPy's complex division leaves it."""
    if isinstance(x, np.generic):
        x = x.item()
        x = x / max(abs(x.real), abs(x.imag))
    return x / abs(x)


def _largest(column):
    """Index of the first entry whose modulus reaches (1 - 2^10 eps) times the largest: rounding doesn't decide ties."""
    eps = np.finfo(float if column.dtype == object else column.dtype).eps
    moduli = [abs(x) for x in column]
    return next(i for i, modulus in enumerate(moduli) if modulus >= (1 - 2**10 * eps) * max(moduli))


def _singular_vectors(block):
    """U and V of the SVD block = U diag(a, d) V^T, a >= d, of a real 2 x 2 block."""
    if block.dtype == object:
        u, _, vh = (np.array(x.tolist(), dtype=object) for x in mp.svd_r(mp.matrix(block.tolist())))
    else:
        u, _, vh = np.linalg.svd(block)
    return u, vh.T


def scipy_qz(a, b, output="real", like=None):
    """(s, t, q, z) of `scipy.linalg.qz`, canonical. Where QZ doesn't converge, SciPy's warning becomes an error.

    `like`: an s and a t of the same pencil, whose order of distinct eigenvalues LAPACK's xTGSEN brings about.
    """
    if len(a) == 0:
        empty = np.zeros((0, 0), np.result_type(a, np.complex64) if output == "complex" else a.dtype)
        return empty, empty, empty, empty
    with warnings.catch_warnings():
        warnings.simplefilter("error", scipy.linalg.LinAlgWarning)
        factors = scipy.linalg.qz(a, b, output=output)
    if like is not None:
        alpha, beta = homogeneous_eigenvalues(*like)
        for k, size in reversed(blocks(like[0])):
            factors = _moved_to_the_top(*factors, alpha[k], beta[k], size)
    return canonical(*factors)


def _moved_to_the_top(s, t, q, z, alpha, beta, size):
    """The factors with the diagonal block first that has the eigenvalue nearest to alpha / beta."""

    def distance(k):
        here = slice(k, k + size)
        x, y = scipy.linalg.eigvals(s[here, here], t[here, here], homogeneous_eigvals=True)
        return min(abs(x * beta - y * alpha) / np.hypot(abs(x), abs(y)))

    first = min((k for k, found in blocks(s) if found == size), key=distance)
    place = np.arange(len(s))
    tgsen = scipy.linalg.get_lapack_funcs("tgsen", (s, t))
    chosen = (place >= first) & (place < first + size)
    s, t, *_, q, z, _, _, _, _, info = tgsen(chosen, s, t, q, z, ijob=0, lwork=4 * len(s) + 16, liwork=1)
    assert info == 0
    return s, t, q, z


def blocks(s):
    """The diagonal blocks of a quasi-triangular S as (first index, size)."""
    k, found = 0, []
    while k < len(s):
        size = 2 if k + 1 < len(s) and s[k + 1, k] != 0 else 1
        found.append((k, size))
        k += size
    return found


def homogeneous_eigenvalues(s, t):
    """alpha and beta of the eigenvalues alpha / beta, in the order of the diagonal.

    A block [p q; r u] of S over diag(a, d): with beta = sqrt(a d) and rho = sqrt(d / a), alpha is a root of
    alpha^2 - (p rho + u / rho) alpha + p u - q r = 0.
    """
    alpha, beta = np.diag(s).astype(complex), np.diag(t).astype(complex)
    for k, size in blocks(s):
        if size == 2:
            (p, q), (r, u) = s[k : k + 2, k : k + 2].astype(float)
            a, d = float(t[k, k]), float(t[k + 1, k + 1])
            p, u = p * np.sqrt(d / a), u * np.sqrt(a / d)
            root = np.sqrt(complex(((p - u) / 2) ** 2 + q * r))
            alpha[k : k + 2] = (p + u) / 2 + root, (p + u) / 2 - root
            beta[k : k + 2] = np.sqrt(a) * np.sqrt(d)
    return alpha, beta


def separation(s, t, q, z):
    """How far canonical factors are from a place where one of them has no derivative; at most 1, scale-free.

    The minimum of: chordal distances of eigenvalues (of S / |S| and T / |T|); t_jj / |T|, whose phase fixes Q's;
    (a - d) / (a + d) in 2 x 2 blocks; 1 - (second largest) / (largest modulus) in the columns of Z.
    """
    n, gaps = len(s), [1.0]
    s, t = (x / (np.abs(x).max(initial=0) or 1) for x in (s, t))
    pairs = np.stack(homogeneous_eigenvalues(s, t), axis=1)
    for i in range(n):
        for j in range(i):
            determinant = pairs[i, 0] * pairs[j, 1] - pairs[j, 0] * pairs[i, 1]
            lengths = np.linalg.norm(pairs[i]) * np.linalg.norm(pairs[j])
            gaps.append(abs(determinant) / lengths if lengths else 0.0)
    for k, size in blocks(s):
        if size == 2:
            gaps.append((t[k, k] - t[k + 1, k + 1]) / (t[k, k] + t[k + 1, k + 1]))
    for j in range(n):
        gaps.append(abs(t[j, j]))
        second, first = np.sort(np.append(np.abs(z[:, j]), 0))[-2:]
        gaps.append(1 - second / first)
    return float(min(gaps))


def residuals(a, b, s, t, q, z):
    """The largest of LAPACK's test ratios (xDRGES, tests 1 to 4), whose threshold there is 30; LAPACK stays below 5.

    |A - Q S Z^H| / (n eps |A|), the same for B, |I - Q^H Q| / (n eps), |I - Z^H Z| / (n eps), in the 1-norm, with the
    eps of `s`. A zero matrix must come back as zeros. A NaN anywhere gives NaN.
    """
    n = len(a)
    if n == 0:
        return 0.0
    eps = float(np.finfo(s.dtype).eps)
    a, b, s, t, q, z = (x.astype(np.result_type(x, np.float64)) for x in (a, b, s, t, q, z))
    ratios = []
    for x, factor in ((a, s), (b, t)):
        # Largest entry 1, so that no product or sum overflows; the ratio is homogeneous.
        scale = np.abs(x).max()
        if scale == 0:
            ratios.append(0.0 if np.all(factor == 0) else np.inf if np.all(np.isfinite(factor)) else np.nan)
            continue
        x, factor = x / scale, factor / scale
        ratios.append(np.linalg.norm(x - q @ factor @ z.conj().T, 1) / (n * eps * np.linalg.norm(x, 1)))
    for x in (q, z):
        ratios.append(np.linalg.norm(np.eye(n) - x.conj().T @ x, 1) / (n * eps))
    return float(np.max(ratios))


def structure_error(s, t):
    """What is wrong with the pattern of S (quasi upper triangular) and T (upper triangular), or ''. Zeros are exact.

    2 x 2 blocks: real factors only, not overlapping, T's block diag(a, d) with a >= d > 0, complex eigenvalues.
    """
    n = len(s)
    if np.any(np.tril(t, -1)):
        return f"T is not upper triangular: {np.abs(np.tril(t, -1)).max()}"
    if np.any(np.tril(s, -2)):
        return f"S has entries below the first subdiagonal: {np.abs(np.tril(s, -2)).max()}"
    starts = [k for k in range(n - 1) if s[k + 1, k] != 0]
    if starts and (np.iscomplexobj(s) or np.iscomplexobj(t)):
        return f"complex S is not upper triangular: rows {starts}"
    for k, following in itertools.pairwise(starts):
        if following == k + 1:
            return f"2 x 2 blocks at {k} and {k + 1} overlap"
    for k in starts:
        s_block, t_block = (x[k : k + 2, k : k + 2].astype(float) for x in (s, t))
        a, d = np.diag(t_block)
        if t_block[0, 1] != 0 or not a >= d > 0:
            return f"T's block at {k} is not diag(a, d), a >= d > 0: {t_block.tolist()}"
        # The sign of the discriminant is known up to backward errors of a few eps in the entries of both blocks.
        (p, q), (r, u) = s_block / np.abs(s_block).max()
        d = d / a
        discriminant = ((p * d - u) / 2) ** 2 + q * r * d
        if discriminant > 16 * np.finfo(s.dtype).eps * (abs(p * d - u) + (abs(q) + abs(r)) * d):
            return f"the block at {k} has real eigenvalues: S {s_block.tolist()}, T {t_block.tolist()}"
    return ""


def eigenvalue_order(s, t):
    """The eigenvalues alpha / beta in the order of the diagonal of S and T: what `many_digits.qz` needs to follow a given QZ."""
    alpha, beta = homogeneous_eigenvalues(s, t)
    return alpha / beta
