"""The QZ (generalized Schur) decomposition for TensorFlow, with exact gradients.

    s, t, q, z = tfqz.qz(a, b)        # a = q s z^H, b = q t z^H
"""

from importlib.metadata import version as _version

from tfqz._qz import QZ, qz

__version__ = _version("tfqz")
__all__ = ["QZ", "qz"]
