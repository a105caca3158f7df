"""What `frames.py` does, of NumPy arrays by SciPy's LAPACK, one batch element after the other. Raises ValueError."""

import functools

import numpy as np
import scipy.linalg

from tfqz._backends import on_host
from tfqz._form import checks, tolerances


def compress(a, b, rank, left, fill_failures):
    """X, [..., n, min(m, n)], the rank of b, [...], A X and B X, as `frames.compressed` says; `rank`: None or the rank; `left`: X of the
    adjoints, X^H A and X^H B."""
    batch, a, b = on_host.broadcast_pencil(a, b)
    m, n = b.shape[-2:]
    p = min(m, n)
    inner = (p, n) if left else (m, p)
    results = [np.empty((*batch, *shape), b.dtype) for shape in ((m if left else n, p), inner, inner)]
    results.insert(1, np.empty(batch, np.int32))
    return on_host.each(functools.partial(_compress, rank=rank, left=left), [a, b], results, fill_failures)


def _compress(a, b, where, rank, left):
    on_host.check_finite("a", a, where)
    on_host.check_finite("b", b, where)
    if left:
        a, b = a.conj().T, b.conj().T
    X, rank = _right_frame(a, b, rank)
    A, B = a @ X, b @ X
    B[:, rank:] = 0
    return (X, rank, A.conj().T, B.conj().T) if left else (X, rank, A, B)


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
    results = [np.empty((*x.shape[:-1], n - p), x.dtype), np.empty((*x.shape[:-2], n - p), np.int32)]
    return on_host.each(_complement, [x], results, fill_failures=False)


def _complement(x, where):
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
    dtypes = [b.dtype, b.real.dtype, b.dtype]
    results = [np.empty((*batch, *shape), dtype) for shape, dtype in zip(((m, p), (p,), (n, p)), dtypes)]
    return on_host.each(_svd, [b], results, fill_failures)


def _svd(b, where):
    on_host.check_finite("b", b, where)
    try:
        U, s, V_H = scipy.linalg.svd(b, full_matrices=False)
    except np.linalg.LinAlgError as error:
        raise ValueError(checks.SVD_CONVERGENCE.format(why=f"LAPACK says {error}", where=where)) from None
    return U, s, V_H.conj().T
