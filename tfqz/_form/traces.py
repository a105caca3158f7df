"""Functions that are traced once for the dtypes and ranks of their tensors, whatever the sizes.

Eagerly a trace saves what dozens of small ops take to be dispatched, in graphs what they take to be made again. Sizes are unknown in it:
a trace for each size would cost more than it saves, and TensorFlow warns of them.

XLA compiles graphs only. What eager code has traced it never sees, so ops in there needn't carry what it would make of them
(`_backends/native.py`), which often takes longer to make than all the rest.
"""

import functools
import threading

import tensorflow as tf

from tfqz._form.interrupts import as_keyboard_interrupts


class _Tracing(threading.local):
    """What is being traced in a thread: whether for eager code alone, and whether something was left out in it for that reason."""

    eager = False
    reduced = False


_tracing = _Tracing()


def is_for_xla_too():
    """Whether XLA may come to compile what is being traced. If not, the caller leaves out what is for XLA."""
    _tracing.reduced |= _tracing.eager
    return not _tracing.eager


def traced(function):
    """Decorator: a call is one of the trace. For what has no derivative.

    Tensors are positional arguments; all else goes by keyword and is a constant of the trace.
    """
    whole, reduced = {}, {}

    def make(ranks, dtypes, options, eager):
        # Not of the function itself: arguments that it has and the call has not would become inputs.
        call = tf.function(lambda *tensors: function(*tensors, **dict(options)), autograph=False)
        outer = _tracing.eager, _tracing.reduced
        _tracing.eager, _tracing.reduced = eager, False
        try:
            with tf.init_scope():
                return call.get_concrete_function(*(tf.TensorSpec(_sizes(r), d) for r, d in zip(ranks, dtypes))), _tracing.reduced
        finally:
            _tracing.eager, _tracing.reduced = outer

    def trace(*key):
        """That of (ranks, dtypes, options)."""
        eager = tf.executing_eagerly() or _tracing.eager
        if key not in whole and not (eager and key in reduced):
            made, is_reduced = make(*key, eager)
            (reduced if is_reduced else whole)[key] = made
        if key in whole:
            return whole[key]
        _tracing.reduced |= _tracing.eager
        return reduced[key]

    @functools.wraps(function)
    def call(*tensors, **options):
        # Tapes differentiate a trace as soon as they see its call, whether anybody asks or not.
        tensors = [tf.stop_gradient(x) for x in tensors]
        ranks, dtypes = tuple(x.shape.rank for x in tensors), tuple(x.dtype for x in tensors)
        once = trace(ranks, dtypes, tuple(options.items()))
        if tf.executing_eagerly():
            with as_keyboard_interrupts():
                return once(*tensors)
        # Graphs look for derivatives from the outputs on, and would have those of the trace before they meet the inputs.
        return tf.nest.map_structure(tf.stop_gradient, once(*tensors))

    return call


def in_one_call(function):
    """Decorator for functions of tensors, or None, that take these for constants: eagerly a call is one of its trace, `traced`."""

    @traced
    def once(*tensors, given, **options):
        found = iter(tensors)
        return function(*(next(found) if is_given else None for is_given in given), **options)

    @functools.wraps(function)
    def call(*tensors, **options):
        if tf.executing_eagerly():
            try:
                return once(*(x for x in tensors if x is not None), given=tuple(x is not None for x in tensors), **options)
            except tf.errors.InvalidArgumentError:
                pass  # the ops say it themselves, and without the names that TensorFlow has for them in a trace
        return function(*(None if x is None else tf.stop_gradient(x) for x in tensors), **options)

    return call


def _sizes(rank):
    """As many unknown sizes as dimensions, or None for an unknown number of these."""
    return None if rank is None else [None] * rank
