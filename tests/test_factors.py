"""The factors: reconstruction, unitarity, pattern, canonical form, alpha and beta, over the whole table."""

import cases
import many_digits
import numpy as np
import oracles
import pytest
import scipy.linalg
import tensorflow as tf

import tfqz
from tfqz import _backends

# LAPACK's test programs pass ratios below this (xDRGES); what it computes stays below 5.
THRESHOLD = 30


def decompose(a, b, backend, output="real"):
    return [x.numpy() for x in tfqz.qz(a, b, output=output, backend=backend)]


def outputs(a):
    return ("real",) if np.iscomplexobj(a) else ("real", "complex")


@pytest.mark.parametrize("a, b", cases.pencils())
def test_reconstruction_unitarity_and_pattern(a, b, backend):
    for output in outputs(a):
        factors = decompose(a, b, backend, output)
        expected = np.result_type(a.dtype, np.complex64) if output == "complex" else a.dtype
        assert [x.dtype for x in factors] == [expected] * 4
        assert [x.shape for x in factors] == [a.shape] * 4
        assert oracles.residuals(a, b, *factors) < THRESHOLD
        assert oracles.structure_error(*factors[:2]) == ""


@pytest.mark.parametrize("a, b", cases.pencils())
def test_canonical_form(a, b, backend):
    """Exactly, where it says zero or real; and the oracle's canonical form of the factors is what they are already."""
    for output in outputs(a):
        factors = decompose(a, b, backend, output)
        s, t, _, z = factors
        diagonal, largest = np.diag(t), np.take_along_axis(z, first_largest(z)[None, :], axis=0)
        assert np.all(np.imag(diagonal) == 0) and np.all(np.real(diagonal) >= 0)
        assert np.all(np.imag(largest) == 0) and np.all(np.real(largest) > 0)
        at_zero = np.diag(s)[diagonal == 0]
        assert np.all(np.imag(at_zero) == 0) and np.all(np.real(at_zero) >= 0)
        eps = np.finfo(a.dtype).eps
        for got, expected in zip(factors, oracles.canonical(*factors)):
            assert np.all(np.abs(got - expected) <= 8 * eps * np.abs(got).max(initial=0))


def first_largest(z):
    """Row of the first entry of each column that has the largest modulus up to ties."""
    if z.size == 0:
        return np.zeros(0, int)
    modulus = np.abs(z)
    return np.argmax(modulus >= (1 - 1024 * np.finfo(z.dtype).eps) * modulus.max(axis=0), axis=0)


@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True))
def test_backends_agree_with_scipy(a, b, backend):
    """The same factors to rounding, once SciPy's have their eigenvalues in the same order."""
    for output in outputs(a):
        factors = decompose(a, b, backend, output)
        expected = oracles.scipy_qz(a, b, output, like=factors[:2])
        for got, reference in zip(factors, expected):
            assert np.allclose(got, reference, rtol=0, atol=1e-11 * np.abs(reference).max(initial=1))


@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True))
def test_lapack_has_scipys_order(a, b, monkeypatch):
    """The same routine, so the same order."""
    monkeypatch.setenv("TFQZ_SIMD", "none")
    for output in outputs(a):
        expected = oracles.scipy_qz(a, b, output)
        for got, reference in zip(decompose(a, b, "native", output), expected):
            assert np.allclose(got, reference, rtol=0, atol=1e-11 * np.abs(reference).max(initial=1))


@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True, largest=5))
def test_fifty_digits_in_any_order(a, b, backend):
    """The factors are functions of the pencil and of the order of the eigenvalues."""
    if len(a) == 0:
        return
    for output in outputs(a):
        factors = decompose(a, b, backend, output)
        expected = many_digits.qz(a, b, oracles.eigenvalue_order(*factors[:2]), output)
        for got, reference in zip(factors, expected):
            reference = reference.astype(got.dtype)
            assert np.allclose(got, reference, rtol=0, atol=1e-11 * np.abs(reference).max(initial=1))


@pytest.mark.parametrize("a, b", cases.pencils(singular_pencil=False))
def test_alpha_and_beta(a, b, backend):
    """Of the blocks as they stand, by the oracle's formula; beta real and >= 0, conjugate pairs with the upper one first."""
    s, t, _, _, alpha, beta = (x.numpy() for x in _backends.choose(backend).factorize(tf.constant(a), tf.constant(b), "raise"))
    expected_alpha, expected_beta = oracles.homogeneous_eigenvalues(s, t)
    eps = np.finfo(a.dtype).eps
    scale_a, scale_b = (max(np.abs(x).max(initial=0), np.finfo(a.dtype).tiny) for x in (s, t))
    # A pair's imaginary part is a square root: eps becomes sqrt(eps) where it nearly vanishes.
    assert np.all(np.abs(alpha - expected_alpha) <= 8 * np.sqrt(eps) * scale_a)
    assert np.all(np.abs(beta - expected_beta) <= 16 * eps * scale_b)
    assert np.all(np.imag(beta) == 0) and np.all(np.real(beta) >= 0)
    for k, size in oracles.blocks(s):
        if size == 2:
            assert alpha[k] == alpha[k + 1].conj() and alpha[k].imag >= 0 and beta[k] == beta[k + 1]


@pytest.mark.parametrize("a, b", cases.pencils(*cases.DOUBLE, separated=True, largest=8))
def test_eigenvalues_are_scipys(a, b, backend):
    if len(a) == 0:
        return
    s, t, _, _ = decompose(a, b, backend, "complex")
    expected = list(scipy.linalg.eigvals(a, b))
    for value in np.diag(s) / np.diag(t):
        nearest = min(expected, key=lambda x: abs(x - value))
        assert abs(nearest - value) < 1e-9 * max(1, abs(value))
        expected.remove(nearest)


@pytest.mark.parametrize("case", [case for case in cases.CASES if case.infinite], ids=str)
@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_infinite_eigenvalues_are_counted(case, dtype, backend):
    a, b = case(dtype)
    _, t, _, _ = decompose(a, b, backend)
    bound = 4 * len(a) * np.finfo(dtype).eps * np.abs(t).max(initial=0)
    assert np.count_nonzero(np.abs(np.diag(t)) <= bound) == case.infinite


@pytest.mark.parametrize("scale", [2.0**500, 2.0**-500])
@pytest.mark.parametrize("dtype", cases.DOUBLE)
def test_scaling_changes_nothing_but_scales(dtype, scale, backend):
    (case,) = [case for case in cases.CASES if case.name == "random-5"]
    a, b = case(dtype)
    s, t, q, z = decompose(a, b, backend)
    scaled = decompose(scale * a, scale * b, backend)
    for got, expected in zip(scaled, (scale * s, scale * t, q, z)):
        assert np.allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_ties_are_decided_alike(backend):
    """All entries of these eigenvectors have one modulus: rounding must not choose between them."""
    a, b = np.roll(np.eye(4), 1, axis=0), np.eye(4)
    _, _, _, z = decompose(a, b, backend, "complex")
    assert np.all(first_largest(z) == 0)
    assert np.all(z[0] == np.abs(z[0]))
