"""Random pencils with a structure: m x n matrices of any sizes here, square ones in families.py.

A structure is a function of a source of random numbers and of m and n, and gives A and B in double precision; `pencil` draws one, changes
it in ways that go with every structure, and rounds it to a dtype, in whose range it brings it.
"""

import numpy as np

from fuzz_values import families
from fuzz_values.source import Source


def dense(source, m, n):
    return source.normal(m, n), source.normal(m, n)


def sparse(source, m, n):
    density = source.rng.choice([0.05, 0.15, 0.3, 0.6])
    return tuple(source.normal(m, n) * (source.rng.random((m, n)) < density) for _ in "ab")


def integers(source, m, n):
    """Few different ones: exact ties, equal eigenvalues and singular pencils come by themselves."""
    most = source.rng.choice([1, 1, 2, 9])
    return tuple(source.integers(most, m, n) for _ in "ab")


def graded(source, m, n):
    """Rows and columns fall, or rise, in one or both matrices."""
    span = source.rng.choice([2, 8, 16, 30])
    rows, columns = (10.0 ** -(span * np.linspace(0, 1, k)[:: source.rng.choice([1, -1])]) for k in (m, n))
    if source.rng.random() < 0.3:
        columns = np.ones(n)
    a, b = dense(source, m, n)
    return rows[:, None] * a * columns, b if source.rng.random() < 0.3 else rows[:, None] * b * columns


def scaled_lines(source, m, n):
    """Rows and columns carry powers of ten in no order, the same ones in A and in B or others."""
    span = source.rng.choice([3, 10, 30])

    def lines(k):
        return 10.0 ** source.rng.uniform(-span, span, k)

    rows, columns = lines(m), lines(n)
    a = rows[:, None] * source.normal(m, n) * columns
    if source.rng.random() < 0.5:
        rows, columns = lines(m), lines(n)
    return a, rows[:, None] * source.normal(m, n) * columns


def entries_of_every_size(source, m, n):
    span = source.rng.choice([5, 20, 40])
    return tuple(source.normal(m, n) * 10.0 ** source.rng.uniform(-span, 0, (m, n)) for _ in "ab")


def low_rank(source, m, n):
    p = min(m, n)
    return tuple(source.of_rank(m, n, source.rng.integers(0, p + 1)) for _ in "ab")


def nearly_singular(source, m, n):
    """One or two singular values far below the others, in one or both matrices."""
    a, b = dense(source, m, n)
    small = 10.0 ** -source.rng.choice([4, 7, 8, 12, 15, 16, 17, 20])
    rank = max(min(m, n) - source.rng.integers(1, 3), 0)
    b = source.of_rank(m, n, rank) + small * b
    return (source.of_rank(m, n, rank) + small * a if source.rng.random() < 0.5 else a), b


def zero_lines(source, m, n):
    """Rows and columns that are zero in A, in B or in both."""
    a, b = dense(source, m, n)
    same = source.rng.random() < 0.5
    rows, columns = source.rng.random((2, m)) < 0.2, source.rng.random((2, n)) < 0.2
    for k, x in enumerate((a, b)):
        x[rows[0 if same else k]] = 0
        x[:, columns[0 if same else k]] = 0
    return a, b


def common_null_space(source, m, n):
    """A N = B N = 0, or the same from the left: singular if square."""
    a, b = dense(source, m, n)
    dimension = source.rng.integers(1, 3)
    if source.rng.random() < 0.5:
        null = source.unitary(n)[:, : min(dimension, n)]
        return a - a @ null @ null.conj().T, b - b @ null @ null.conj().T
    null = source.unitary(m)[:, : min(dimension, m)]
    return a - null @ (null.conj().T @ a), b - null @ (null.conj().T @ b)


def signs(source, m, n):
    """Entries of one modulus: ties in the columns of the factors."""
    return tuple(source.phases(m, n) for _ in "ab")


def toeplitz(source, m, n):
    i, j = np.indices((m, n))
    return tuple(source.normal(m + n)[i - j + n - 1] if m and n else np.zeros((m, n)) for _ in "ab")


def triangular(source, m, n):
    """Upper or lower triangular, Hessenberg or banded, each of both for itself."""

    def part(x):
        kind = source.rng.integers(5)
        return [np.triu(x), np.tril(x), np.triu(x, -1), np.tril(x, 1), np.triu(np.tril(x, 1), -1)][kind]

    a, b = dense(source, m, n)
    return part(a), part(b)


def permuted_triangular(source, m, n):
    """Which isolates eigenvalues, where balancing finds the permutation back."""
    a, b = dense(source, m, n)
    rows, columns = source.rng.permutation(m), source.rng.permutation(n)
    lower = source.rng.integers(0, 2)
    return np.triu(a, -lower)[rows][:, columns], np.triu(b)[rows][:, columns]


def multiples(source, m, n):
    """A = x B, or nearly so: all eigenvalues equal, or nearly."""
    a, b = dense(source, m, n)
    return source.normal() * b + source.rng.choice([0, 1e-17, 1e-16, 1e-12, 1e-8, 1e-4]) * a, b


def nothing(source, m, n):
    """Zeros, ones, one single entry."""
    choices = [np.zeros((m, n)), np.ones((m, n)), np.eye(m, n), np.eye(m, n)[::-1]]
    unit = np.zeros((m, n))
    if unit.size:
        unit.flat[source.rng.integers(unit.size)] = 1
    choices.append(unit)
    a, b = (choices[source.rng.integers(len(choices))].copy() for _ in "ab")
    return a, b


OF_ANY_SHAPE = {
    f.__name__: f
    for f in (
        dense,
        sparse,
        integers,
        graded,
        scaled_lines,
        entries_of_every_size,
        low_rank,
        nearly_singular,
        zero_lines,
        common_null_space,
        signs,
        toeplitz,
        triangular,
        permuted_triangular,
        multiples,
        nothing,
    )
}
SQUARE = families.SQUARE
STRUCTURES = (*OF_ANY_SHAPE, *SQUARE)


def changed(source, a, b):
    """In ways that go with every structure; most stay as they are."""
    kind = source.rng.integers(24)
    if kind == 0:
        return b, a
    if kind == 1:
        return a.real, b.real
    if kind == 2:
        return tuple(source.rounded(x) for x in (a, b))
    if kind == 3 and a.size:
        place = source.rng.integers(a.size)
        (a if source.rng.random() < 0.5 else b).flat[place] *= source.rng.choice([0, 1e-300, 1e-20, 1e-10, 1e10])
    if kind == 4:
        return a, b * 0 if source.rng.random() < 0.5 else np.eye(*b.shape)
    if kind == 5:
        return a * 0 if source.rng.random() < 0.5 else np.eye(*a.shape), b
    return a, b


def exponents(source, dtype, extreme):
    """Of the powers of two with which A and B are multiplied."""
    if source.rng.random() < 0.75 or not extreme:
        return 0, 0
    least, most = (int(f(np.log2(float(x)))) for f, x in ((np.ceil, np.finfo(dtype).smallest_subnormal), (np.floor, np.finfo(dtype).max)))
    choices = [0, 0, most - 1, most - 8, least + 3, least + 25, least + 60, most // 2, least // 2]
    return tuple(int(source.rng.choice(choices)) for _ in "ab")


def pencil(rng, structure, m, n, dtype, extreme=True):
    """A and B, [m, n], finite. `extreme`: whether their largest entries may be near the ends of the range."""
    source = Source(rng, np.dtype(dtype).kind == "c")
    pair = (OF_ANY_SHAPE | SQUARE)[structure](source, m, n)
    pair = changed(source, *(np.array(x, source.dtype) for x in pair))
    return tuple(into_range(x, e, dtype) for x, e in zip(pair, exponents(source, dtype, extreme)))


def into_range(x, exponent, dtype):
    """x 2^exponent, rounded, and times a smaller power where that isn't finite."""
    with np.errstate(over="ignore"):
        largest = max(np.abs(x.real).max(initial=0), np.abs(x.imag).max(initial=0))
        if exponent or largest > 1e30:
            x = x / 2.0 ** np.floor(np.log2(largest)) if largest > 0 else x
        most = int(np.floor(np.log2(float(np.finfo(dtype).max)))) - 1
        parts = [np.ldexp(part, min(exponent, most)) for part in (x.real, x.imag)]
        return (parts[0] + 1j * parts[1] if np.dtype(dtype).kind == "c" else parts[0]).astype(dtype)
