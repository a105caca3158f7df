"""The QZ (generalized Schur) decomposition for TensorFlow, with exact gradients.

    s, t, q, z = tfqz.qz(a, b)        # a = q s z^H, b = q t z^H
"""

import importlib
from importlib.metadata import version as _version

from tfqz import _vectorized  # how tf.vectorized_map makes batches of the ops
from tfqz._diagnosis import Sensitivity, gauge_residual, sensitivity
from tfqz._eigvals import eigvals
from tfqz._ordqz import OrdQZ, ordqz
from tfqz._qz import QZ, qz
from tfqz._schur import Schur, schur
from tfqz._subspaces import DeflatingSubspace, deflating_subspace

__version__ = _version("tfqz")
__all__ = [
    "DeflatingSubspace",
    "OrdQZ",
    "QZ",
    "Schur",
    "Sensitivity",
    "deflating_subspace",
    "eigvals",
    "gauge_residual",
    "ordqz",
    "qz",
    "schur",
    "sensitivity",
]


def __getattr__(name):
    # `tfqz.keras` on first use: TensorFlow doesn't import Keras either before it is used.
    if name == "keras":
        return importlib.import_module("tfqz.keras")
    raise AttributeError(f"module 'tfqz' has no attribute {name!r}")
