"""Pencils of the 26 types that LAPACK tests xGGES with, as the documentation of its program xDRGES describes them, by the same number."""

import numpy as np

TYPES = range(1, 27)


def pencil(kind, n, dtype, rng):
    """(a, b), n x n arrays of a real or complex dtype."""
    dtype = np.dtype(dtype)
    info = np.finfo(dtype)
    with np.errstate(over="ignore", under="ignore"):
        big, small = float(info.max) * float(info.eps) / max(n, 1), float(info.tiny) / float(info.eps) * n
        a, b = _pencil(kind, n, dtype, rng, float(info.eps), big, small)
        return a.astype(dtype), b.astype(dtype)


def _pencil(kind, n, dtype, rng, eps, big, small):
    zero, one, counted = np.zeros((n, n)), np.eye(n), np.diag(np.arange(n, dtype=float))
    rising, falling = np.diag(_placed(n, 2, 1, lambda k: k + 1)), np.diag(_placed(n, 1, 2, lambda k: max(n - 3 - k, 0)))
    if kind in (1, 2, 3, 4):
        return [(zero, zero), (one, zero), (zero, one), (one, one)][kind - 1]
    if kind == 5:
        return _jordan(n), _jordan(n)
    if kind == 6:
        k = (n - 1) // 2
        x, y = one.copy(), one.copy()
        x[: k + 1, : k + 1], y[n - k - 1 :, n - k - 1 :] = _jordan(k + 1), _jordan(k + 1)
        return x, y
    if kind <= 14:
        scales = [(1, 1), (1, 1), (big, small), (small, big), (big, small), (small, big), (big, big), (small, small)][kind - 7]
        first, second = (one, counted) if kind in (8, 11, 12) else (counted, one)
        return scales[0] * first, scales[1] * second
    if kind == 15:
        return rising, falling
    if kind == 16:
        return _turned([_jordan(n), _jordan(n)], dtype, rng)
    if kind == 26:
        return _turned([np.triu(_deviates(rng, (n, n), dtype)) for _ in range(2)], dtype, rng)
    # Upper triangular, with these diagonals.
    if kind == 17:
        diagonals = rising.diagonal(), falling.diagonal()
    elif kind <= 21:
        count = max(n - 5, 1)
        tails = {
            18: lambda k: eps,
            19: lambda k: max(1 - k * (1 - eps) / count, eps),
            20: lambda k: eps ** (k / count),
            21: lambda k: rng.uniform(eps, 1),
        }
        first = _placed(n, 2, 1, lambda k: 1.0 if k < 2 else tails[kind](k - 1))
        diagonals = first, _placed(n, 1, 1, lambda k: float(k != 1))
    else:
        diagonals = rising.diagonal(), _placed(n, 1, 2, lambda k: 1.0)
    scales = {22: (big, small), 23: (small, big), 24: (small, small), 25: (big, big)}.get(kind, (1, 1))
    triangles = [np.triu(_deviates(rng, (n, n), dtype), 1) + np.diag(d * _signs(rng, n, dtype)) for d in diagonals]
    return [scale * x for scale, x in zip(scales, _turned(triangles, dtype, rng))]


def _placed(n, leading, trailing, value):
    """Zeros, then value(0), value(1) ..., then zeros."""
    d = np.zeros(n)
    for k in range(n - leading - trailing):
        d[leading + k] = value(k)
    return d


def _jordan(n):
    """A transposed Jordan block with the eigenvalue 0."""
    return np.eye(n, k=-1)


def _deviates(rng, shape, dtype):
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if dtype.kind == "c" else x


def _signs(rng, n, dtype):
    return np.exp(2j * np.pi * rng.uniform(size=n)) if dtype.kind == "c" else rng.choice([-1.0, 1.0], n)


def _turned(pair, dtype, rng):
    """Q X Z of both, with random unitary Q and Z."""
    q, z = (np.linalg.qr(_deviates(rng, pair[0].shape, dtype))[0] for _ in range(2))
    return [q @ x @ z for x in pair]
