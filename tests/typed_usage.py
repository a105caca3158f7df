"""What users write: test_types.py has mypy read it, and runs it. A comment after an error is what mypy has to say of the line."""

import numpy as np
import tensorflow as tf
from typing_extensions import assert_type

import tfqz

a, b = np.random.default_rng(0).standard_normal((2, 3, 3))

factors = tfqz.qz(a, b, output="complex", backend="native", on_failure="nan", name="factors")
assert_type(factors, tfqz.QZ)
s, t, q, z = factors
assert_type(tfqz.ordqz(a, b, "iuc", tolerance=1e-8), tfqz.OrdQZ)
ordered = tfqz.ordqz(tf.Variable(a), tf.constant(b), lambda alpha, beta: tf.abs(alpha) < tf.abs(beta), return_sdim=True)
print(ordered.sdim, ordered.alpha, tfqz.eigvals(a, b, homogeneous_eigvals=True))
assert_type(tfqz.deflating_subspace(a.tolist(), b, dimension=None), tfqz.DeflatingSubspace)
assert_type(tfqz.schur(a, "r"), tfqz.Schur)
w, vr = tfqz.eig(a, b)
w, vl, vr = tfqz.eig(a.tolist(), tf.constant(b), True, homogeneous_eigvals=True)
print(tfqz.eig(a, b, right=False).shape, vl, tfqz.transmission_zeros(a, b, a, b, backend="scipy").shape)
assert_type(tfqz.sensitivity(*factors), tfqz.Sensitivity)
assert_type(tfqz.balance(a, b.tolist(), backend="native"), tfqz.Balanced)
assert_type(tfqz.ordqz(a, b, balance=True), tfqz.OrdQZ)
print(tfqz.gauge_residual(factors, [s, None, None, None]))


def wrong() -> None:
    """Never called."""
    tfqz.qz(a, b, output="upper")  # arg-type
    tfqz.qz(a, b, "real", 2)  # call-arg
    tfqz.ordqz(a, b, "left")  # call-overload
    tfqz.ordqz(a, b, sort=3)  # call-overload
    print(tfqz.ordqz(a, b).sdim)  # attr-defined
    print(tfqz.schur(a).q)  # attr-defined
    print(tfqz.eig(a, b).shape)  # attr-defined
    tfqz.deflating_subspace(a, b, dimension="2")  # arg-type
