"""`balance=True` of pencils that balancing is no good for: what comes out are factors all the same."""

import numpy as np
import pytest
import tensorflow as tf

import tfqz


def are_factors(x, q, y, z, bound):
    """Whether Q Y Z^H is X for each of a batch, up to so much of the norm."""
    size = np.abs(x).max(axis=(-2, -1), keepdims=True)
    x, y = (np.divide(matrix, size, where=size > 0, out=np.zeros_like(matrix)) for matrix in (x, y))  # whose squares are in the range
    return np.linalg.norm(x - q @ y @ np.swapaxes(z.conj(), -1, -2), axis=(-2, -1)) <= bound * np.linalg.norm(x, axis=(-2, -1))


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.slow_if("graph", "scipy", "xla")
@pytest.mark.no_case_if(lambda mode, backend: mode == "xla" and backend == "scipy", "runs on the host")
def test_factors_where_balancing_does_harm(mode, backend, rng):
    """Of sparse pencils whose lines are of very different lengths: products of a few large numbers and of rounding errors stand in place of
    what is there, or NaN."""
    shape = (300, 4, 4)
    a, b = (np.sign(rng.standard_normal(shape)) * (rng.random(shape) < 0.45) for _ in range(2))
    left, right = (2.0 ** (10 * rng.integers(-6, 7, shape[:2])) for _ in range(2))
    a, b = (x * left[:, :, None] * right[:, None, :] for x in (a, b))
    compiled = {"eager": lambda f: f, "graph": tf.function, "xla": lambda f: tf.function(f, jit_compile=True)}[mode]
    for sort in (None, "lhp"):

        @compiled
        def decompose(a, b):
            options = {"output": "complex", "balance": True, "backend": backend, "on_failure": "nan"}
            if sort is None:
                return tfqz.qz(a, b, **options)
            found = tfqz.ordqz(a, b, sort, **options)
            return found.s, found.t, found.q, found.z, found.alpha, found.beta

        for scale in (1, 2.0**-600):
            factors = [x.numpy() for x in decompose(tf.constant(a * scale), tf.constant(b * scale))]
            good = np.isfinite(factors[0]).all(axis=(-2, -1)) | (sort is None)  # pencils of which no two can be exchanged
            assert good.sum() > 250
            found = [x[good] for x in factors]
            for x, y in ((a, found[0]), (b, found[1])):
                assert are_factors(x[good] * scale, found[2], y, found[3], 30 * 4 * np.finfo("float64").eps ** 0.5).all()
            assert max(np.abs(np.swapaxes(x.conj(), -1, -2) @ x - np.eye(4)).max() for x in found[2:4]) < 1e-13
            if sort is not None:
                for i in (0, 1):
                    assert np.allclose(found[4 + i], np.diagonal(found[i], axis1=-2, axis2=-1), rtol=1e-13, atol=0)


@pytest.mark.slow_if("graph", "scipy")
def test_order_where_a_pair_comes_back_real(backend, rng):
    """What rounding makes of ill-conditioned complex pairs is in order as well, and counted."""
    u, v = (np.linalg.qr(rng.standard_normal((300, 4, 4)))[0] for _ in range(2))
    a, b = np.diag([1e-6, 1e-6, 2, 1]), np.diag([1e-6, 1e-6, 1, 1])
    a[0, 1], a[1, 0] = 2e-8, -2e-8
    lengths = 2.0 ** rng.integers(-3, 3, (300, 4, 1))
    a, b = ((lengths * (u @ x @ v)).astype("float32") for x in (a, b))

    def is_complex(alpha, beta):
        return tf.not_equal(tf.math.imag(alpha), 0)

    found = tfqz.ordqz(a, b, is_complex, balance=True, return_sdim=True, on_failure="nan", backend=backend)
    chosen = found.alpha.numpy().imag != 0
    good = np.isfinite(found.beta.numpy()).all(axis=-1)
    assert good.sum() > 150
    assert np.array_equal(chosen[good].sum(axis=-1), found.sdim.numpy()[good]) and not np.any(chosen[good, 1:] > chosen[good, :-1])


def test_pencils_that_balancing_takes_out_of_the_range(backend):
    """They are decomposed as they are, and beside others that are not."""
    a, b = np.array([np.diag([0, 3.5e305]), np.diag([1, 2.0])]), np.array([np.diag([1, 1e-300]), np.diag([2.0, 1])])
    assert np.isinf(tfqz.balance(a, b, backend=backend).a.numpy()[0]).any()
    for x, y in zip((a, b), tfqz.qz(a, b, balance=True, backend=backend)[:2]):
        assert np.allclose(np.sort(np.diagonal(y.numpy(), axis1=1, axis2=2)), np.sort(np.diagonal(x, axis1=1, axis2=2)), rtol=1e-14, atol=0)


@pytest.mark.slow_if("graph", "scipy")
def test_blocks_next_to_overflow(backend):
    """They are brought into their form near 1."""
    a, b = np.zeros((2, 8, 8))
    a[[0, 1, 3, 4, 5, 7], [1, 7, 4, 3, 2, 0]] = 0.5, 2.5e-42, 0.25, 0.25, -2.5e-33, 1.5e-38
    b[[1, 2, 5, 5, 6, 6, 7, 7], [2, 6, 0, 1, 5, 7, 0, 7]] = -9e307, 1, -4e307, 4e307, 6e306, 6e306, -4e307, -9e307
    s, t, q, z = (x.numpy() for x in tfqz.qz(a, b, balance=True, backend=backend))
    for x, y in ((a, s), (b, t)):
        assert are_factors(x, q, y, z, 1e-14)
