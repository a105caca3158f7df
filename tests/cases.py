"""One table of matrix pencils A - lambda B; every property is tested on all of it, through every backend.

A case is drawn in double precision from a seed that depends on its name and rounded to the dtype asked for, so the same
case is the same pencil (up to rounding) in single and in double precision, and on every run.
"""

import dataclasses
import functools
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg

REAL = ("float32", "float64")
COMPLEX = ("complex64", "complex128")
ALL = REAL + COMPLEX
DOUBLE = ("float64", "complex128")


@dataclasses.dataclass(frozen=True)
class Case:
    """A pencil and what is known of it.

    make: from `draw(*shape)`, a source of normal deviates (complex ones for the complex dtypes), to (a, b).
    dtypes: those that can hold it.
    differentiable: the dtypes for which every factor has a derivative, and a moderate one: distinct eigenvalues, t_jj
        away from 0, a != d in 2 x 2 blocks, no ties in the columns of Z (`oracles.separation` above 0.05), in the real
        and in the complex form.
    reorders: zeros in special places let QZ find the eigenvalues in an order that the smallest perturbation changes. A
        difference of two decompositions says nothing then; `many_digits.gradient` keeps the order.
    singular_pencil: det(A - lambda B) vanishes identically.
    infinite: how many eigenvalues are infinite; None if rounding decides (a defective one, or a singular pencil).
    extreme: entries so far from 1 that their squares may leave the range, of single precision at least.
    slow: for tests that do more than one decomposition.
    seed: another instance; only `differentiable` needs the choice.
    """

    name: str
    make: Callable
    dtypes: tuple = ALL
    differentiable: tuple = ()
    reorders: bool = False
    singular_pencil: bool = False
    infinite: int | None = 0
    extreme: bool = False
    slow: bool = False
    seed: int = 0

    def separated(self, dtype):
        """Whether central differences of LAPACK's factors see the derivative of each, to 1e-6."""
        return dtype in self.differentiable and not self.reorders

    def __call__(self, dtype):
        """(a, b) as arrays of `dtype`, read-only since they are shared."""
        return _make(self, np.dtype(dtype).name)

    def __str__(self):
        return self.name


@functools.cache
def _make(case, dtype):
    rng = np.random.default_rng([zlib.crc32(case.name.encode()), case.seed])

    def draw(*shape):
        real = rng.standard_normal(shape)
        return real + 1j * rng.standard_normal(shape) if dtype in COMPLEX else real

    pencil = tuple(np.array(x, dtype) for x in case.make(draw))
    for x in pencil:
        x.flags.writeable = False
    return pencil


def unitary(draw, n):
    return np.linalg.qr(draw(n, n))[0]


def hidden(make):
    """The pencil Q A Z^H - lambda Q B Z^H for random unitary Q, Z: the same eigenvalues with full matrices."""

    def equivalent(draw):
        a, b = make(draw)
        q, z = unitary(draw, len(a)), unitary(draw, len(a))
        return q @ a @ z, q @ b @ z

    return equivalent


def fixed(a, b):
    return lambda draw: (np.asarray(a), np.asarray(b))


def dense(n):
    return lambda draw: (draw(n, n), draw(n, n))


def of_rank(draw, n, rank):
    return draw(n, rank) @ draw(rank, n) / np.sqrt(n)


def ranks(n, rank_a, rank_b):
    """Generic matrices of the given ranks: n - rank_a zero and n - rank_b infinite eigenvalues."""
    return lambda draw: (of_rank(draw, n, rank_a), of_rank(draw, n, rank_b))


def scaled(scale_a, scale_b, n=6):
    return lambda draw: (scale_a * draw(n, n), scale_b * draw(n, n))


def graded(n, span):
    """Rows and columns fall by 10^-span each from first to last."""
    grade = 10.0 ** -np.linspace(0, span, n)
    return lambda draw: tuple(grade[:, None] * draw(n, n) * grade for _ in "ab")


def rows_and_columns_scaled(n, span):
    """Rows and columns carry powers of ten between -span and span, the same ones in A and in B, in no order."""

    def make(draw):
        rows, columns = (10.0 ** (span * np.tanh(draw(n, 1).real)) for _ in "rc")
        return rows * draw(n, n) * columns.T, rows * draw(n, n) * columns.T

    return make


def jordan(*chains):
    """Jordan blocks, each given as (eigenvalue, size)."""
    return scipy.linalg.block_diag(*[value * np.eye(size) + np.eye(size, k=1) for value, size in chains])


def nearly_defective(value, n, distance):
    """A Jordan block with `distance` in the corner: eigenvalues on a circle of radius distance^(1/n) around `value`."""
    block = jordan((value, n))
    block[-1, 0] = distance
    return block


def grcar(n):
    """Toeplitz with -1 below, 1 on the diagonal and three superdiagonals of 1: sensitive complex eigenvalues."""
    return np.tril(np.triu(np.ones((n, n))), 3) - np.eye(n, k=-1)


def frank(n):
    """Upper Hessenberg, determinant 1, real eigenvalues in pairs x, 1 / x: the small ones are ill-conditioned."""
    i, j = np.indices((n, n))
    return np.where(i <= j + 1, n - np.maximum(i, j), 0)


def companion(degree, leading):
    """Linearisation of a polynomial: A [v, x v, ...] = x B [v, x v, ...]; leading=0 makes one root infinite."""

    def make(draw):
        a, b = np.eye(degree, k=1, dtype=draw().dtype), np.eye(degree)
        a[-1] = -draw(degree)
        b[-1, -1] = leading
        return a, b

    return make


def toeplitz(n):
    return lambda draw: tuple(scipy.linalg.toeplitz(draw(n), draw(n)) for _ in "ab")


def permutations(n):
    """Permutation matrices: in a cycle's eigenvectors all moduli are equal."""
    return lambda draw: tuple(np.eye(n)[np.argsort(draw(n).real)] for _ in "ab")


def common_null_vector(n, side):
    """det(A - lambda B) = 0 because A v = B v = 0 (side="right") or v^H A = v^H B = 0."""

    def make(draw):
        project = np.eye(n) - np.outer(v := unitary(draw, n)[:, 0], v.conj())
        a, b = draw(n, n), draw(n, n)
        return (a @ project, b @ project) if side == "right" else (project @ a, project @ b)

    return make


def upper_triangular(n):
    return lambda draw: (np.triu(draw(n, n)), np.triu(draw(n, n)))


def rotations(count):
    """Only complex pairs: blocks r [c -s; s c] over diag(a, d), a > d, and random entries above the blocks."""

    def make(draw):
        n = 2 * count
        radius, angle = 1 + np.arange(count) / 2, np.linspace(0.6, 2.4, count)
        turns = [r * np.array([[np.cos(w), -np.sin(w)], [np.sin(w), np.cos(w)]]) for r, w in zip(radius, angle)]
        above = np.triu(np.kron(1 - np.eye(count), np.ones((2, 2))))
        a = scipy.linalg.block_diag(*turns) + 0.3 * above * draw(n, n)
        return a, np.diag(np.resize([1.5, 1.0], n)) + 0.3 * above * draw(n, n)

    return make


def symmetric_definite(n):
    """Hermitian A and positive definite B: only real eigenvalues."""

    def make(draw):
        a, b = draw(n, n), draw(n, n)
        return a + a.conj().T, b @ b.conj().T / n + np.eye(n)

    return make


# L_1 and its transpose on the diagonal: singular without a null vector common to A and B.
KRONECKER = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 1]]), np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]])

# Reference-LAPACK issue 102: QZ iterations without exceptional shifts go in circles on these.
STAGNATING = (
    ([[0, 0, 1], [0, 1, 0], [1, 0, 0]], [[2, 0, 0], [0, 0, 1], [0, 1, 0]]),
    ([[1, 1, 0], [0, 0, -1], [1, 0, 0]], [[-1, 0, -1], [0, -1, 0], [-1, 0, -1]]),
    ([[1, 1e-9, 0], [1e-9, 1, 0], [0, 0, 1]], np.eye(3)),
)

EYE, HADAMARD = np.eye(5), scipy.linalg.hadamard(4)

CASES = (
    *[
        Case(f"random-{n}", dense(n), differentiable=ALL, seed=seed)
        for n, seed in ((0, 0), (1, 0), (2, 1322), (3, 391), (4, 475), (5, 375), (8, 737))
    ],
    *[Case(f"random-{n}", dense(n)) for n in (17, 33, 60)],
    Case("random-200", dense(200), slow=True),
    Case("graded", graded(6, 3)),
    Case("graded-steeply", graded(8, 8), infinite=None),
    Case("rows-columns-scaled", rows_and_columns_scaled(6, 4), infinite=None),
    Case("rows-columns-scaled-widely", rows_and_columns_scaled(6, 60), DOUBLE, infinite=None, extreme=True),
    *[Case(f"a{x:.0e}-b{y:.0e}", scaled(x, y), extreme=True) for x in (1e15, 1e-15) for y in (1e15, 1e-15)],
    *[Case(f"a{x:.0e}-b{y:.0e}", scaled(x, y), DOUBLE, extreme=True) for x in (1e150, 1e-150) for y in (1e150, 1e-150)],
    Case("identity-b", lambda draw: (draw(5, 5), EYE), differentiable=COMPLEX, seed=198),
    Case("identity-a", lambda draw: (EYE, draw(5, 5))),
    Case("a-twice-b", lambda draw: (2 * (b := draw(5, 5)), b)),
    Case("multiple-of-identity", fixed(3 * EYE, EYE)),
    Case("jordan", fixed(jordan((2, 4)), np.eye(4))),
    Case("jordan-two-chains", fixed(jordan((1, 3), (1, 2)), EYE)),
    Case("jordan-hidden", hidden(fixed(jordan((2, 3), (-1, 2)), EYE))),
    Case("jordan-zero-hidden", hidden(fixed(jordan((0, 3), (1, 2)), EYE))),
    Case("jordan-infinite", fixed(EYE, jordan((0, 3), (1, 2))), infinite=3),
    Case("jordan-infinite-hidden", hidden(fixed(EYE, jordan((0, 3), (1, 2)))), infinite=None),
    Case("nearly-defective", fixed(nearly_defective(2, 4, 1e-6), np.eye(4))),
    Case("nearly-defective-hidden", hidden(fixed(nearly_defective(2, 4, 1e-12), np.eye(4)))),
    Case("singular-a", ranks(5, 4, 5)),
    Case("singular-a-twice", ranks(6, 4, 6)),
    Case("singular-b", ranks(5, 5, 4), infinite=1),
    Case("singular-b-thrice", ranks(7, 7, 4), infinite=3),
    Case("both-singular", ranks(6, 5, 5), infinite=1),
    Case("both-singular-twice", ranks(7, 5, 5), infinite=2),
    Case("zero-a", lambda draw: (0 * EYE, draw(5, 5))),
    Case("zero-b", lambda draw: (draw(5, 5), 0 * EYE), infinite=5),
    Case("zero-both", fixed(0 * EYE, 0 * EYE), singular_pencil=True, infinite=None),
    Case("common-null-vector", common_null_vector(5, "right"), singular_pencil=True, infinite=None),
    Case("common-left-null-vector", common_null_vector(5, "left"), singular_pencil=True, infinite=None),
    Case("kronecker", fixed(*KRONECKER), singular_pencil=True, infinite=None),
    Case("kronecker-hidden", hidden(fixed(*KRONECKER)), singular_pencil=True, infinite=None),
    Case("grcar", fixed(grcar(12), np.eye(12))),
    Case("grcar-pair", lambda draw: (grcar(8), draw(8, 8))),
    Case("frank", fixed(frank(8), np.eye(8))),
    Case("companion", companion(6, 2), differentiable=ALL, reorders=True, seed=253),
    Case("companion-infinite", companion(6, 0), infinite=1),
    Case("toeplitz", toeplitz(6), differentiable=ALL, seed=17),
    Case("cycle", fixed(np.roll(EYE, 1, axis=0), EYE)),
    Case("permutations", permutations(6)),
    *[Case(f"stagnating-{i}", fixed(*pencil), infinite=None) for i, pencil in enumerate(STAGNATING)],
    Case("hadamard", lambda draw: (np.diag([1, 2, 3, 4]) @ HADAMARD, np.diag([4, 3, 2, 1]) @ HADAMARD)),
    Case("upper-triangular", upper_triangular(5), differentiable=ALL, reorders=True, seed=124),
    Case("diagonal-with-ties", fixed(np.diag([2.0, 1, -1, 2, 0]), np.diag([1.0, 2, -2, -1, 3]))),
    Case("rotations", rotations(3), REAL, differentiable=REAL, reorders=True),
    Case("rotations-hidden", hidden(rotations(3)), REAL, differentiable=REAL, seed=66),
    Case("symmetric-definite", symmetric_definite(6), differentiable=ALL, seed=305),
)

# Not in the table: LAPACK's xHGEQZ for real pencils (OpenBLAS 0.3.30 and 0.3.34) gives up here with info = n. Its
# shifts are all 1, the exceptional one (a subdiagonal entry) included, and A - B is a weighted cycle, which a step only
# permutes.
NOT_CONVERGING = Case("not-converging", fixed(nearly_defective(1, 4, 2.0**-20), np.eye(4)), REAL)


def select(dtype, **flags):
    """The cases for `dtype`. A bool asks for a flag's truth, another value for equality: infinite=True, infinite=2."""

    def matches(case, flag, wanted):
        value = getattr(case, flag)
        if flag == "differentiable":
            value = dtype in value
        elif flag == "separated":
            value = value(dtype)
        return bool(value) == wanted if isinstance(wanted, bool) else value == wanted

    return [case for case in CASES if dtype in case.dtypes and all(matches(case, *item) for item in flags.items())]


def pencils(*dtypes, largest=None, **flags):
    """Parameters for `pytest.mark.parametrize("a, b", pencils("float64", separated=True))`; no dtype means all four.

    `largest` bounds n; slow cases carry pytest's mark `slow`; the flags are those of `select`.
    """
    return [
        pytest.param(*case(dtype), id=f"{case}-{dtype}", marks=[pytest.mark.slow] * case.slow)
        for dtype in dtypes or ALL
        for case in select(dtype, **flags)
        if largest is None or len(case(dtype)[0]) <= largest
    ]
