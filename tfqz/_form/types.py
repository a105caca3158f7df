"""Names for the types of arguments that public functions share."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import numpy.typing as npt
import tensorflow as tf

Matrix = tf.Tensor | tf.Variable | npt.ArrayLike  # [..., m, n]
Output = Literal["real", "r", "complex", "c"]
OnFailure = Literal["raise", "nan"]
Backend = Literal["native", "scipy", "graph"]
Sort = Literal["lhp", "rhp", "iuc", "ouc"] | Callable[[tf.Tensor, tf.Tensor], Any]

_Function = TypeVar("_Function", bound=Callable)


def not_converted(function: _Function) -> _Function:
    """Decorator for functions without Python's control flow on tensors, which keep their types: AutoGraph's conversion would add about a
    third to the first trace."""
    return tf.autograph.experimental.do_not_convert(function)
