"""What is factorized: normal deviates, the same ones in every run, and the cotangents of what comes out."""

import functools

import numpy as np
import tensorflow as tf


class Pencils:
    """`batch` pencils of n x n matrices: [batch, n, n], and [n, n] for a batch of 1."""

    def __init__(self, batch, n, dtype):
        self.batch, self.n, self.dtype = batch, n, dtype
        self.a, self.b = self._deviates(2, 0)

    def _deviates(self, count, stream):
        rng = np.random.default_rng([self.n, stream])
        shape = (count, self.n, self.n) if self.batch == 1 else (count, self.batch, self.n, self.n)
        x = rng.standard_normal(shape)
        return (x + 1j * rng.standard_normal(shape) if np.dtype(self.dtype).kind == "c" else x).astype(self.dtype)

    @functools.cached_property
    def tensors(self):
        return tf.constant(self.a), tf.constant(self.b)

    @functools.cached_property
    def cotangents(self):
        """One for each of S, T, Q, Z."""
        return [tf.constant(x) for x in self._deviates(4, 1)]

    @functools.cached_property
    def eigen_cotangents(self):
        """For the detour through eig, of which phases of the eigenvectors V are undetermined: a complex cotangent of the eigenvalues,
        and a real matrix R that makes R * V, the cotangent of functions of |v_ij|^2, which depend on no phase."""
        x, y, r = (np.real(d) for d in self._deviates(3, 2))
        complex_dtype = np.result_type(self.dtype, np.complex64)
        return (x[..., 0] + 1j * y[..., 0]).astype(complex_dtype), r.astype(complex_dtype)

    def bytes(self, matrices):
        return matrices * self.batch * self.n**2 * np.dtype(self.dtype).itemsize
