"""Random numbers, real or complex, and matrices made of them, in double precision."""

import numpy as np


class Source:
    def __init__(self, rng, is_complex):
        self.rng, self.is_complex = rng, is_complex
        self.dtype = np.dtype(np.complex128 if is_complex else np.float64)

    def normal(self, *shape):
        x = np.asarray(self.rng.standard_normal(shape))
        return x + 1j * self.rng.standard_normal(shape) if self.is_complex else x

    def integers(self, most, *shape):
        x = self.rng.integers(-most, most + 1, shape).astype(float)
        return x + 1j * self.rng.integers(-most, most + 1, shape) if self.is_complex else x

    def phases(self, *shape):
        """Numbers of modulus 1 without rounding."""
        x = self.rng.choice([-1.0, 1.0], shape)
        return x * self.rng.choice([1, 1j], shape) if self.is_complex else x

    def unitary(self, n):
        return np.linalg.qr(self.normal(n, n))[0]

    def of_rank(self, m, n, rank):
        return self.normal(m, rank) @ self.normal(rank, n)

    def rounded(self, x):
        """To a few bits: products and sums of a few of them are exact."""
        bits = 2.0 ** self.rng.integers(1, 5)
        return np.round(x * bits) / bits

    def hidden(self, a, b):
        """Q A Z and Q B Z for random unitary Q and Z."""
        n = len(a)
        q, z = self.unitary(n), self.unitary(n)
        return q @ a @ z, q @ b @ z

    def partition(self, n, largest):
        """Sizes from 1 to `largest` whose sum is n."""
        sizes = []
        while (left := n - sum(sizes)) > 0:
            sizes.append(int(self.rng.integers(1, min(largest, left) + 1)))
        return sizes
