"""A gradient of any order for values that TensorFlow can't differentiate."""

import tensorflow as tf


def attach_gradient(inputs, outputs, pullback):
    """Returns `outputs` as differentiable functions of `inputs`.

    `pullback(inputs, outputs, cotangents)` returns the cotangents of the inputs. It is called with outputs that have this
    very gradient again, so that what it computes from them can be differentiated too, to every order. A gradient that
    closed over the bare values would be right once and silently wrong when differentiated.

    Args:
      inputs: a list of tensors.
      outputs: a list of tensors, computed from `inputs`.
      pullback: a function written in differentiable operations.

    Returns:
      A list of tensors like `outputs`.
    """

    @tf.custom_gradient
    def attached(*inputs):
        def gradient(*cotangents):
            return pullback(inputs, attach_gradient(inputs, outputs, pullback), cotangents)

        return [tf.identity(output) for output in outputs], gradient

    return attached(*inputs)
