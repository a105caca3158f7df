"""Bounds of what `benchmarks/accuracy.py` prints: residuals over LAPACK's own types of pencils, gradients against 50 digits."""

import drges
import nearby
import numpy as np
import oracles
import pytest

import tfqz

# LAPACK's, of xDRGES: as many backward errors of n eps count as the decomposition's own.
THRESHOLD = 30


@pytest.mark.slow_if("graph")
@pytest.mark.parametrize("n", [1, 2, 5, pytest.param(17, marks=pytest.mark.slow), pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.no_case_if(lambda backend, n: backend == "graph" and n == 40, "minutes in TensorFlow's ops")
def test_factors(dtype, n, backend):
    """All 26 types, in a batch and each by itself."""
    pencils = [drges.pencil(kind, n, dtype, np.random.default_rng([kind, n])) for kind in drges.TYPES]
    together = tfqz.qz(*(np.stack(x) for x in zip(*pencils)), backend=backend)
    for i, (kind, (a, b)) in enumerate(zip(drges.TYPES, pencils)):
        assert oracles.residuals(a, b, *(x[i].numpy() for x in together)) < THRESHOLD, kind
        if backend == "native":
            assert oracles.residuals(a, b, *(x.numpy() for x in tfqz.qz(a, b))) < THRESHOLD, kind


@pytest.mark.slow_if("graph", "scipy", "float32", "complex128", "complex64")
@pytest.mark.parametrize("kind", nearby.KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_gradients(dtype, kind, backend):
    """Those of a decomposition with a backward error below the threshold, and of another one whose eigenvalues that has moved."""
    digits = -np.log10(np.finfo(dtype).eps)
    # Down to where the pair's distance has half of its digits left, or half of all digits where that moves it farther.
    separations = [10 ** (-digits * share / nearby.KINDS[kind]) for share in ((0.15, 0.5) if backend == "native" else (0.5,))]
    for separation in separations:
        for _, _, ratio in nearby.gradient_errors(kind, separation, dtype, count=1, backend=backend):
            assert ratio < THRESHOLD * nearby.N
