"""Pencils with matrices of given ranks, and the spaces that orthonormal frames of them should span."""

import numpy as np
from functionals import deviates


def adjoint(x):
    return np.swapaxes(x.conj(), -1, -2)


def tolerance(dtype, factor=100.0):
    return factor * np.finfo(dtype).eps


def pencil(rng, batch, m, n, rank, dtype):
    """Full A, and B of a rank, with singular values within a factor of 30."""
    a, b = deviates(rng, (*batch, m, n), dtype), deviates(rng, (*batch, m, n), dtype)
    u, _, vh = np.linalg.svd(b, full_matrices=False)
    s = np.linspace(1, 30, min(m, n)) * (np.arange(min(m, n)) < rank)
    return a, (u * s @ vh).astype(dtype)


def space(a, b, rank):
    """The projectors onto the rows of B and onto those of B + (I - B B^+) A; of a tall pair those of the adjoints."""
    if len(a) > len(a[0]):
        a, b = adjoint(a), adjoint(b)
    u, _, vh = (x.astype(np.result_type(x, np.float64)) for x in np.linalg.svd(b))
    rest = adjoint(u[:, rank:]) @ a @ adjoint(vh[rank:])
    more = adjoint(vh[rank:]) @ np.linalg.qr(adjoint(rest))[0]
    rows = adjoint(vh[:rank]) @ vh[:rank]
    return rows, rows + more @ adjoint(more)


def assert_orthonormal(x):
    p = x.shape[-1]
    assert np.abs(adjoint(x) @ x - np.eye(p)).max(initial=0) < tolerance(x.dtype, 30) * max(1, p) ** 0.5
