"""The QZ (generalized Schur) decomposition for TensorFlow, with exact gradients: `s, t, q, z = tfqz.qz(a, b)`, a = q s z^H, b = q t z^H."""

import sys as _sys
from importlib.metadata import version as _version

try:
    import tensorflow as _tensorflow  # noqa: F401 - all else needs it
except ModuleNotFoundError as error:
    if error.name != "tensorflow":
        raise
    _commands = "`pip install 'tensorflow>=2.20'` or, without what GPUs need, `pip install 'tensorflow-cpu>=2.20'`"
    raise ImportError(f"tfqz needs TensorFlow, and none is installed; {_commands}", name="tensorflow") from None

from tfqz._api.balance import Balanced, balance
from tfqz._api.diagnosis import Sensitivity, gauge_residual, sensitivity
from tfqz._api.eig import eig
from tfqz._api.eigvals import eigvals
from tfqz._api.klein import Klein, klein
from tfqz._api.ordqz import OrdQZ, ordqz
from tfqz._api.qz import QZ, qz
from tfqz._api.riccati import LQR, lqr, solve_continuous_are, solve_discrete_are
from tfqz._api.schur import Schur, schur
from tfqz._api.subspaces import DeflatingSubspace, deflating_subspace
from tfqz._api.sylvester import (
    GeneralizedSylvester,
    solve_continuous_lyapunov,
    solve_discrete_lyapunov,
    solve_generalized_sylvester,
    solve_sylvester,
)
from tfqz._api.zeros import transmission_zeros
from tfqz._derivative import vectorized as _vectorized  # noqa: F401 - how tf.vectorized_map makes batches of the ops

__version__ = _version("tfqz")
__all__ = [
    "LQR",
    "QZ",
    "Balanced",
    "DeflatingSubspace",
    "GeneralizedSylvester",
    "Klein",
    "OrdQZ",
    "Schur",
    "Sensitivity",
    "balance",
    "deflating_subspace",
    "eig",
    "eigvals",
    "gauge_residual",
    "klein",
    "lqr",
    "ordqz",
    "qz",
    "schur",
    "sensitivity",
    "solve_continuous_are",
    "solve_continuous_lyapunov",
    "solve_discrete_are",
    "solve_discrete_lyapunov",
    "solve_generalized_sylvester",
    "solve_sylvester",
    "transmission_zeros",
]


def __getattr__(name):
    """The submodules `keras` and `jax`, imported when they are first used; AttributeError for other names."""
    # On first use, where TensorFlow has not imported Keras: with TF_USE_LEGACY_KERAS it takes another one. JAX may be missing.
    if name in ("keras", "jax"):
        from importlib import import_module

        return import_module(f"tfqz.{name}")
    raise AttributeError(f"module 'tfqz' has no attribute {name!r}")


if "keras" in _sys.modules:  # TensorFlow imports it: saved models that have the layers load then
    from tfqz import keras as keras
