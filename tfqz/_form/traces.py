"""Functions that are traced once for the dtypes and ranks of their tensors, whatever the sizes.

Eagerly a trace saves what dozens of small ops take to be dispatched, in graphs what they take to be made again. Sizes are unknown in it:
a trace for each size would cost more than it saves, and TensorFlow warns of them.
"""

import functools

import tensorflow as tf


def traced(function):
    """Decorator: a call is one of the trace. For what has no derivative.

    Tensors are positional arguments; all else goes by keyword and is a constant of the trace.
    """

    @functools.cache
    def trace(ranks, dtypes, options):
        # Not of the function itself: arguments that it has and the call has not would become inputs.
        call = tf.function(lambda *tensors: function(*tensors, **dict(options)), autograph=False)
        with tf.init_scope():
            return call.get_concrete_function(*(tf.TensorSpec(_sizes(r), d) for r, d in zip(ranks, dtypes)))

    @functools.wraps(function)
    def call(*tensors, **options):
        # Tapes differentiate a trace as soon as they see its call, whether anybody asks or not.
        tensors = [tf.stop_gradient(x) for x in tensors]
        ranks, dtypes = tuple(x.shape.rank for x in tensors), tuple(x.dtype for x in tensors)
        outputs = trace(ranks, dtypes, tuple(options.items()))(*tensors)
        # Graphs look for derivatives from the outputs on, and would have those of the trace before they meet the inputs.
        return outputs if tf.executing_eagerly() else tf.nest.map_structure(tf.stop_gradient, outputs)

    return call


def _sizes(rank):
    """As many unknown sizes as dimensions, or None for an unknown number of these."""
    return None if rank is None else [None] * rank
