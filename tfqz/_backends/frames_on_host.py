"""What `frames.py` does, of NumPy arrays by SciPy's LAPACK, one batch element after the other. Raises ValueError."""

import numpy as np
import scipy.linalg

from tfqz._form import checks, tolerances


def compress(a, b, rank, left, fill_failures):
    """X, [..., n, min(m, n)], the rank of b, [...], A X and B X, as `frames.compressed` says; `rank`: None or the rank; `left`: X of the
    adjoints, X^H A and X^H B."""
    checks.shapes(a.shape, b.shape)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    m, n = b.shape[-2:]
    p = min(m, n)
    X, found = np.empty((*batch, m if left else n, p), b.dtype), np.empty(batch, np.int32)
    inside = [np.empty((*batch, p, n) if left else (*batch, m, p), b.dtype) for _ in range(2)]
    a, b = (np.broadcast_to(x, batch + x.shape[-2:]) for x in (a, b))
    for index in np.ndindex(*batch):
        try:
            where = checks.batch_element(index)
            check_finite("a", a[index], where)
            check_finite("b", b[index], where)
            one = [x[index].conj().T if left else x[index] for x in (a, b)]
            X[index], found[index] = _right_frame(*one, rank)
            for x, of_one in zip(inside, one):
                product = of_one @ X[index]
                x[index] = product.conj().T if left else product
            inside[1][index][(slice(found[index], None),) if left else (slice(None), slice(found[index], None))] = 0
        except ValueError:
            if not fill_failures:
                raise
            X[index], found[index] = np.nan, -1
            for x in inside:
                x[index] = np.nan
    return X, found, *inside


def _right_frame(a, b, rank):
    m, n = b.shape
    if m >= n:
        return np.eye(n), n
    a, b = (x / (np.abs(x).max(initial=0) or 1) for x in (a, b))
    V, R, _ = scipy.linalg.qr(b.conj().T, pivoting=True)
    if rank is None:
        lengths = np.abs(np.diagonal(R))
        rank = int(np.sum(lengths > tolerances.rank(b.dtype) * n * lengths[:1]))
    if rank == m:
        return V[:, :m], rank
    U = scipy.linalg.qr(b @ V[:, :rank])[0][:, rank:] if rank > 0 else np.eye(m, dtype=b.dtype)
    rest = U.conj().T @ a @ V[:, rank:]
    return np.hstack([V[:, :rank], V[:, rank:] @ scipy.linalg.qr(rest.conj().T)[0][:, : m - rank]]), rank


def complement(x):
    """A basis of the orthogonal complement and its rows, as `frames.complement` says."""
    n, p = x.shape[-2:]
    basis, rows = np.empty((*x.shape[:-1], n - p), x.dtype), np.empty((*x.shape[:-2], n - p), np.int32)
    for index in np.ndindex(*x.shape[:-2]):
        basis[index], rows[index] = _complement(x[index])
    return basis, rows


def _complement(x):
    n, p = x.shape
    if p == n or not np.isfinite(x).all():
        return np.full((n, n - p), np.nan, x.dtype), np.zeros(n - p, np.int32)
    raw = scipy.linalg.qr(x)[0][:, p:] if p > 0 else np.eye(n, dtype=x.dtype)
    rows, left = [], raw
    for _ in range(n - p):
        squares = np.sum(np.abs(left) ** 2, axis=1)
        rows.append(int(np.argmax(squares >= (1 - tolerances.tie(x.dtype)) * squares.max())))
        unit = left[rows[-1]] / np.sqrt(squares[rows[-1]])
        left = left - np.outer(left @ unit.conj(), unit)
        left[rows[-1]] = 0
    rows = np.sort(rows)
    turn, R = scipy.linalg.qr(raw[rows].conj().T)
    diagonal = np.diagonal(R)
    basis = raw @ (turn * (diagonal / np.abs(diagonal)))
    basis[rows] = np.tril(basis[rows])
    basis[rows, np.arange(n - p)] = np.abs(diagonal)
    return basis, rows


def svd(b, fill_failures):
    """U, s, V of b = U diag(s) V^H, thin."""
    *batch, m, n = b.shape
    p = min(m, n)
    U, V = np.empty((*batch, m, p), b.dtype), np.empty((*batch, n, p), b.dtype)
    s = np.empty((*batch, p), b.real.dtype)
    for index in np.ndindex(*batch):
        try:
            where = checks.batch_element(index)
            check_finite("b", b[index], where)
            if p == 0:
                continue
            try:
                U[index], s[index], V_H = scipy.linalg.svd(b[index], full_matrices=False)
            except np.linalg.LinAlgError as error:
                raise ValueError(checks.SVD_CONVERGENCE.format(why=f"LAPACK says {error}", where=where)) from None
            V[index] = V_H.conj().T
        except ValueError:
            if not fill_failures:
                raise
            U[index] = s[index] = V[index] = np.nan
    return U, s, V


def check_finite(name, x, where):
    """Raises the error about NaN or Inf in the argument `name` of a batch element."""
    if not np.isfinite(x).all():
        raise ValueError(checks.FINITE.format(name=name, where=where))
