"""Rectangular pencils with matrices of given ranks, and curves on which they keep them."""

import dataclasses
import zlib

import numpy as np

SHAPES = ((2, 3), (3, 2), (3, 5), (5, 3), (4, 7), (7, 4), (1, 4), (4, 1), (3, 8), (8, 3), (6, 7))


@dataclasses.dataclass(frozen=True)
class Rectangular:
    """m x n matrices A and B of ranks that are `lacks_a` and `lacks_b` below min(m, n)."""

    m: int
    n: int
    lacks_a: int = 0
    lacks_b: int = 0
    seed: int = 0

    @property
    def p(self):
        return min(self.m, self.n)

    def curve(self, dtype):
        """h -> (A, B), without changing ranks, and the derivative at h = 0."""
        rng = np.random.default_rng([zlib.crc32(str(self).encode()), self.seed])

        def draw(*shape):
            x = rng.standard_normal(shape)
            return x + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else x

        ranks = self.p - self.lacks_a, self.p - self.lacks_b
        factors = [(draw(self.m, rank), draw(rank, self.n), draw(self.m, rank), draw(rank, self.n)) for rank in ranks]

        def at(h):
            return tuple(((x + h * dx) @ (y + h * dy)).astype(dtype) for x, y, dx, dy in factors)

        return at, tuple((dx @ y + x @ dy).astype(dtype) for x, y, dx, dy in factors)

    def __call__(self, dtype):
        return self.curve(dtype)[0](0)

    def __str__(self):
        return f"{self.m}x{self.n}-{self.lacks_a}-{self.lacks_b}"


CASES = tuple(
    Rectangular(m, n, lacks_a, lacks_b) for m, n in SHAPES for lacks_a, lacks_b in ((0, 0), (1, 0), (0, 1)) if min(m, n) > lacks_a + lacks_b
)


def central_difference(f, at, h=1e-5):
    """The derivative of f(A, B), an array or a tuple of them, along a curve, of fourth order."""
    near = [[np.asarray(x) for x in f(*at(k * h))] for k in (1, -1, 2, -2)]
    return [(8 * (a - b) - (c - d)) / (12 * h) for a, b, c, d in zip(*near)]


def row_space(a, b, rank):
    """The orthogonal projector onto the row space of B + (I - B B^+) A, by singular values."""
    u, _, v_h = np.linalg.svd(b)
    outside = u[:, rank:] @ u[:, rank:].conj().T
    rows = np.vstack([v_h[:rank], outside @ a])
    _, s, v_h = np.linalg.svd(rows)
    v_h = v_h[: int(np.sum(s > 1e-10 * s[0]))]
    return v_h.conj().T @ v_h
