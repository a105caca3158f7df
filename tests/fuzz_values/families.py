"""Structures of square pencils: clusters, Kronecker's canonical form, those of applications, and the families of LAPACK's test program.

Each is a function of a source and of n, twice.
"""

import drges
import numpy as np
import scipy.linalg


def clusters(source, n, _):
    """Few different eigenvalues, with 0 and infinity among them, semisimple or in Jordan chains, hidden or triangular as they are."""
    values = [(source.normal(), 1.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (source.normal(), source.rng.uniform())]
    some = [values[k] for k in source.rng.integers(len(values), size=source.rng.integers(1, 4))]
    pairs = [some[k] for k in source.rng.integers(len(some), size=n)]
    if source.rng.random() < 0.7:
        pairs.sort(key=lambda pair: (pair[1], pair[0].real, pair[0].imag))
    spread = source.rng.choice([0, 0, 1e-16, 1e-12, 1e-8, 1e-3])
    alpha, beta = (np.array([pair[k] for pair in pairs]) * (1 + spread * source.rng.standard_normal(n)) for k in (0, 1))
    above = source.rng.choice([0, 0, 1, 1e-4])
    first, second = (above * np.triu(source.normal(n, n), 1) for _ in "ab")
    if source.rng.random() < 0.4:
        first, second = above * np.diag((source.rng.random(max(n - 1, 0)) < 0.7).astype(float), 1)[:n, :n], 0
    a, b = np.diag(alpha) + first, np.diag(beta) + second
    return source.hidden(a, b) if source.rng.random() < 0.7 else (a, b)


def nearly_defective(source, n, _):
    """Jordan blocks with something small in the corner: eigenvalues on small circles."""
    a, b = np.zeros((n, n), source.dtype), np.eye(n)
    start = 0
    for size in source.partition(n, 5):
        block = source.integers(2) * np.eye(size) + np.eye(size, k=1)
        block[-1, 0] += source.rng.choice([0, 1e-16, 1e-12, 1e-8, 1e-4])
        a[start : start + size, start : start + size] = block
        start += size
    if source.rng.random() < 0.5:
        a, b = a @ (b := np.triu(source.normal(n, n), 1) / 2 + np.eye(n)), b
    return source.hidden(a, b) if source.rng.random() < 0.5 else (a, b)


def kronecker(source, n, _):
    """Kronecker's canonical form, with right and left singular blocks beside Jordan blocks of finite and infinite eigenvalues."""
    a, b = [], []
    for size in source.partition(n, 4):
        kind = source.rng.integers(5)
        if kind == 0 and size > 1:  # L_k and the transpose of L_(size - 1 - k), square together
            k = int(source.rng.integers(size))
            right = np.eye(k, k + 1, 1), np.eye(k, k + 1)
            left = np.eye(size - 1 - k, size - k, 1).T, np.eye(size - 1 - k, size - k).T
            pair = [_beside(x, y) for x, y in zip(right, left)]
        elif kind == 1:
            pair = [np.eye(size), np.eye(size, k=1)]
        elif kind == 2:
            pair = [np.zeros((size, size))] * 2
        else:
            pair = [source.integers(1) * np.eye(size) + np.eye(size, k=1), np.eye(size)]
        a.append(pair[0])
        b.append(pair[1])
    a, b = (np.asarray(scipy.linalg.block_diag(*x), source.dtype).reshape(n, n) for x in (a, b))
    return source.hidden(a, b) if source.rng.random() < 0.5 else (a, b)


def _beside(x, y):
    """diag(x, y), also where one has no rows or no columns."""
    whole = np.zeros((x.shape[0] + y.shape[0], x.shape[1] + y.shape[1]))
    whole[: x.shape[0], : x.shape[1]] = x
    whole[x.shape[0] :, x.shape[1] :] = y
    return whole


def companion(source, n, _):
    """Of a polynomial: with integer coefficients, multiple roots, or random ones; some roots may be infinite or zero."""
    a, b = np.eye(n, k=1, dtype=source.dtype), np.eye(n, dtype=source.dtype)
    if n == 0:
        return a, b
    kind = source.rng.integers(3)
    if kind == 0:
        coefficients = np.poly(source.integers(2, n) if n else [])
    elif kind == 1:
        coefficients = np.poly(np.full(n, source.rng.choice([1.0, -1.0, 0.5])))
    else:
        coefficients = source.normal(n + 1)
        coefficients[source.rng.random(n + 1) < 0.3] = 0
    a[-1], b[-1, -1] = -coefficients[:0:-1], coefficients[0]
    return a, b


def symmetric(source, n, _):
    """Hermitian, or skew, with a definite, indefinite or skew B."""
    a, b = source.normal(n, n), source.normal(n, n)
    sign, other = source.rng.choice([1, -1], 2)
    a, b = a + sign * a.conj().T, b + other * b.conj().T
    return a, (b @ b.conj().T / max(n, 1) + np.eye(n) if source.rng.random() < 0.5 else b)


def unitaries(source, n, _):
    """Eigenvalues on the unit circle, the border of two of the keywords; permutations among them."""
    if source.rng.random() < 0.5:
        return tuple(np.eye(n)[source.rng.permutation(n)] * source.phases(n) for _ in "ab")
    return source.unitary(n), source.unitary(n)


def hamiltonian(source, n, _):
    """[A G; Q -A^H], with eigenvalues in pairs about the imaginary axis; of odd size with a zero row and column."""
    k = n // 2
    a, g, q = source.normal(k, k), source.normal(k, k), source.normal(k, k)
    whole = np.zeros((n, n), source.dtype)
    whole[: 2 * k, : 2 * k] = np.block([[a, g + g.conj().T], [q + q.conj().T, -a.conj().T]]) if k else 0
    return whole, np.eye(n)


def blocks_of_rotations(source, n, _):
    """Real pencils with complex pairs, some with T's block a multiple of I, and nearly real ones."""
    a, b = (np.triu(source.normal(n, n), 2) * 0.3 for _ in "ab")
    b += np.diag(1 + source.rng.random(n) * source.rng.choice([0, 1]))
    a += np.diag(source.rng.integers(-2, 3, n))
    for k in range(0, n - 1, 2):
        size = source.rng.choice([1, 1, 1e-4, 1e-8, 1e-16])
        a[k, k + 1], a[k + 1, k] = size, -size * source.rng.uniform(0.5, 1)
        a[k + 1, k + 1] = a[k, k]
    return source.hidden(a, b) if source.rng.random() < 0.4 else (a, b)


def sensitive(source, n, _):
    """Grcar's and Frank's matrices and a triangular one of Wilkinson's kind: far from normal."""
    i, j = np.indices((n, n))
    choices = [
        np.tril(np.triu(np.ones((n, n))), 3) - np.eye(n, k=-1),
        np.where(i <= j + 1, n - np.maximum(i, j), 0),
        np.diag(np.arange(n, 0, -1.0)) + n * np.eye(n, k=1),
    ]
    a = choices[source.rng.integers(3)].astype(source.dtype)
    return a, (np.eye(n) if source.rng.random() < 0.5 else source.normal(n, n))


def lapack(source, n, _):
    """One of the types of xDRGES, of size 1: sizes near the ends of the range go with every structure."""
    pair = drges.pencil(source.rng.integers(1, 27), n, source.dtype, source.rng)
    return [x / (np.abs(x).max(initial=0) or 1) for x in pair]


SQUARE = {
    f.__name__: f
    for f in (
        clusters,
        nearly_defective,
        kronecker,
        companion,
        symmetric,
        unitaries,
        hamiltonian,
        blocks_of_rotations,
        sensitive,
        lapack,
    )
}
