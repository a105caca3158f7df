"""Transmission zeros of a NumPy system, one batch element after the other: orthogonal reductions, whose sizes depend on the element.

The zeros are the finite eigenvalues of P - z N, P = [a b; c d] and N = diag(e, 0). QZ of that would spread its infinite eigenvalues, which
come in Jordan blocks as long as the relative degree, over circles of large radius. So what is infinite is taken away first, by
orthogonal transformations: A. Emami-Naeini and P. Van Dooren, Computation of zeros of linear multivariable systems, Automatica 18
(1982) 415-430, with e beside a.
"""

import numpy as np
import scipy.linalg

from tfqz._backends.on_host import check_finite, each
from tfqz._form import checks, tolerances


def zeros(P, N, n, fill_failures):
    """[..., n]: the finite zeros of systems with n states, then inf. P, N: [..., n + p, n + m]. Raises ValueError."""
    dtype = np.result_type(P.dtype, np.complex64)

    def one(P, N, where):
        for name, part in (("a", P[:n, :n]), ("b", P[:n, n:]), ("c", P[n:, :n]), ("d", P[n:, n:]), ("e", N[:n, :n])):
            check_finite(name, part, where)
        found = np.full(n, np.inf, dtype)
        finite = _finite_zeros(P, N, n, where)
        found[: len(finite)] = finite
        return [found]

    return each(one, [P, N], [np.empty((*P.shape[:-2], n), dtype)], fill_failures)[0]


def _finite_zeros(P, N, n, where):
    scales = [np.abs(X).max(initial=0) for X in (P, N)]
    if n == 0 or min(scales) == 0:
        return []
    P, E = P / scales[0], N[:n, :n] / scales[1]
    tolerance = tolerances.system_rank(P.dtype, *P.shape) * np.linalg.norm(P)
    system = _with_regular_e(P, E, n)
    for _ in range(2):  # from the outputs, then from the inputs
        A, B, C, D, E = _reduced(*system, tolerance)
        system = [X.conj().T for X in (A, C, B, D, E)]
    A, B, C, D, E = system
    k = len(A)
    if k == 0:
        return []
    # D is square and regular: [C D] W = [0 *].
    W = np.linalg.qr(np.hstack([C, D]).conj().T, mode="complete")[0][:, len(D) :]
    (ggev,) = scipy.linalg.get_lapack_funcs(("ggev",), (A,))
    *ratio, _, _, _, info = ggev(np.hstack([A, B]) @ W, E @ W[:k], compute_vl=0, compute_vr=0)
    if info != 0:
        why = f"LAPACK's {ggev.typecode}ggev returned info = {info}"
        raise ValueError(checks.ZEROS_CONVERGENCE.format(why=why, where=where))
    alpha, beta = ratio if len(ratio) == 2 else (ratio[0] + 1j * ratio[1], ratio[2])
    with np.errstate(over="ignore"):
        found = alpha[beta != 0] / beta[beta != 0] * (scales[0] / scales[1])
    if A.dtype.kind == "f":  # rounding has left the two of a pair apart
        second = np.flatnonzero(found.imag < 0)
        found[second] = found[second - 1].conj()
    return found[np.isfinite(found)]


def _with_regular_e(P, E, n):
    """A, B, C, D and a regular E: states that E maps to nothing become inputs, and equations without E outputs."""
    U, s, Vh = np.linalg.svd(E)
    r = int(np.sum(s > tolerances.system_rank(E.dtype, n, n) * s[0]))
    left, right = (scipy.linalg.block_diag(X, np.eye(size - n)).astype(P.dtype) for X, size in zip((U, Vh.conj().T), P.shape))
    if r == n:  # as it is
        return P[:n, :n], P[:n, n:], P[n:, :n], P[n:, n:], E
    P = left.conj().T @ P @ right
    return P[:r, :r], P[:r, r:], P[r:, :r], P[r:, r:], np.diag(s[:r]).astype(P.dtype)


def _reduced(A, B, C, D, E, tolerance):
    """The same zeros with a D of full row rank."""
    while True:
        U, rank = _row_space(D, tolerance)
        C, D = U.conj().T @ C, U.conj().T @ D
        if rank == len(D):
            return A, B, C, D, E
        # Rows of C without D say that some states are 0; their equations become rows of C and D.
        V, known = _row_space(C[rank:].conj().T, tolerance)
        C, D = C[:rank], D[:rank]
        if known == 0:
            return A, B, C, D, E
        free = V[:, known:]
        Q, R = np.linalg.qr(E @ free, mode="complete")
        A, B, k = Q.conj().T @ A @ free, Q.conj().T @ B, free.shape[1]
        C, D = np.vstack([C @ free, A[k:]]), np.vstack([D, B[k:]])
        A, B, E = A[:k], B[:k], R[:k]


def _row_space(X, tolerance):
    """A unitary matrix whose first columns span the range of X, and how many these are."""
    if min(X.shape) == 0:
        return np.eye(len(X), dtype=X.dtype), 0
    U, s, _ = np.linalg.svd(X)
    return U, int(np.sum(s > tolerance))


def null_vectors(P, N, zeros):
    """[..., n + m, n] and [..., n + p, n]: for each zero of square systems x and y of length 1, M x = 0 and y^H M = 0, where M is the
    equilibrated P - z N; 0 where the zero has no derivative, for it isn't finite, or M has more null vectors than these, or of N in these
    units y^H N x = 0."""
    X, Y = (np.zeros((*P.shape[:-2], size, zeros.shape[-1]), zeros.dtype) for size in (P.shape[-1], P.shape[-2]))
    if X.shape != Y.shape:
        return X, Y
    threshold = tolerances.system_rank(P.dtype, *P.shape[-2:])
    for here in np.ndindex(zeros.shape[:-1]):
        (finite,) = np.nonzero(np.isfinite(zeros[here]))
        if len(finite) == 0:
            continue
        singular, rows, columns = _equilibrated(P[here] - zeros[here][finite, None, None] * N[here])
        mass = N[here] * rows[:, :, None] * columns[:, None, :]
        U, s, Vh = np.linalg.svd(singular)
        x, y = Vh[:, -1].conj(), U[:, :, -1]
        slope = np.abs(np.einsum("ki,kij,kj->k", y.conj(), mass, x))
        single = s[:, -2] > threshold * s[:, 0] if s.shape[1] > 1 else True
        simple = single & (slope > threshold * np.abs(mass).max(axis=(1, 2)))
        X[here][:, finite], Y[here][:, finite] = (np.where(simple, v.T, 0) for v in (x, y))
    return X, Y


def _equilibrated(M):
    """diag(r) M diag(c), r and c, for [k, m, n]: entries of small inputs and outputs count as others do. Of rows and columns that are 0
    factors are 1."""
    rows, columns = np.ones_like(M[:, :, 0].real), np.ones_like(M[:, 0].real)
    for _ in range(3):
        for factors, axis in ((rows, 2), (columns, 1)):
            size = np.abs(M * rows[:, :, None] * columns[:, None, :]).max(axis=axis)
            factors /= np.where(size > 0, size, 1)
    return M * rows[:, :, None] * columns[:, None, :], rows, columns
