"""A host call to SciPy's LAPACK: no op library, no graph serialisation, no XLA."""

import importlib.metadata

import numpy as np
import scipy.linalg
import tensorflow as tf

from tfqz import _canonical, _checks, _eigenvalues
from tfqz._attach import attach_gradient


def why_not():
    return None


def versions():
    return {"runs with SciPy": importlib.metadata.version("scipy")}


def decompose(a, b, on_failure, eigenvalues=False):
    def on_host(a, b):
        return _host_qz(np.asarray(a), np.asarray(b), on_failure == "nan")

    if tf.executing_eagerly():
        try:
            factors = [tf.constant(factor) for factor in on_host(a, b)]
        except ValueError as error:
            raise tf.errors.InvalidArgumentError(None, None, str(error)) from None
    else:
        factors = tf.numpy_function(on_host, [a, b], [a.dtype] * 4, stateful=False)
        for factor in factors:
            factor.set_shape(_checks.factor_shape(a.shape, b.shape))
    factors = _canonical.canonicalize(*factors)
    return attach_gradient("TfqzQz", [a, b], [*factors, *(_eigenvalues.alpha_beta(*factors[:2]) if eigenvalues else ())])


def _host_qz(a, b, fill_failures):
    """Factors of NumPy arrays as LAPACK gives them. Raises ValueError, which TensorFlow turns into InvalidArgumentError."""
    _checks.shapes(a.shape, b.shape)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(x, batch + x.shape[-2:]) for x in (a, b))
    factors = [np.empty(a.shape, a.dtype) for _ in range(4)]
    if a.size == 0:
        return factors
    for index in np.ndindex(batch):
        try:
            results = _one_qz(a[index], b[index], _checks.batch_element(index))
        except ValueError:
            if not fill_failures:
                raise
            results = [np.nan] * 4
        for factor, result in zip(factors, results):
            factor[index] = result
    return factors


def _one_qz(a, b, where):
    for name, x in (("a", a), ("b", b)):
        if not np.isfinite(x).all():
            raise ValueError(_checks.FINITE.format(name=name, where=where))
    (gges,) = scipy.linalg.get_lapack_funcs(("gges",), (a, b))
    s, t, *_, q, z, _, info = gges(lambda *_: None, a, b)
    if info != 0:
        why = f"LAPACK's {gges.typecode}gges returned info = {info}"
        raise ValueError(_checks.CONVERGENCE.format(why=why, where=where))
    return s, t, q, z
