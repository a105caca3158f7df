"""Gradients of any order for values that TensorFlow can't, or shouldn't, differentiate by itself."""

import functools
import itertools

import tensorflow as tf

_pullbacks = {}
_numbers = itertools.count()


def register_pullback(name):
    """Decorator for `pullback(inputs, outputs, cotangents)`, which returns the cotangents of the inputs.

    The outputs that it is given have this very gradient again, so what it computes from them can be differentiated too.
    """

    def register(pullback):
        _pullbacks[name] = pullback
        return pullback

    return register


def register_pullbacks(name):
    """Decorator for `pullback(inputs, outputs, cotangents, native)`: registers it twice, for TensorFlow ops alone and with the op
    library, under names that `solved_by` makes."""

    def register(pullback):
        for native in (False, True):
            register_pullback(solved_by(native, name))(functools.partial(pullback, native=native))
        return pullback

    return register


def solved_by(native, name):
    return name + "Native" * native


@tf.function(reduce_retracing=True, autograph=False)
def attach_gradient(name, inputs, outputs):
    """Returns `outputs`, computed from `inputs` anyhow, as functions of `inputs` with the pullback registered as `name`.

    An IdentityN carries both and names its gradient, as `tf.custom_gradient` does. But that one's gradient keeps tensors in a
    closure: right once, and out of reach where a gradient is itself differentiated in another graph. This one finds them among
    the inputs and outputs of the op that it is called for, whichever copy of it that is. The function around it is what makes
    tapes honour the name, eagerly and in graphs.
    """
    traced = []

    def gradient(op, *cotangents):
        # Without an op it is traced to be saved with a model, which binds the closure's tensors.
        tensors = (list(op.outputs), list(op.inputs)) if op is not None else (traced, traced)
        values, arguments = tensors[0][: len(outputs)], tensors[1][len(outputs) :]
        cotangents = _pullbacks[name](arguments, values, cotangents[: len(outputs)])
        return [None] * len(outputs) + list(cotangents)

    # A name for each trace: a saved model's gradients are looked up by name.
    unique = f"{name}-{next(_numbers)}"
    tf.RegisterGradient(unique)(gradient)
    graph = tf.compat.v1.get_default_graph()
    with graph.gradient_override_map({"IdentityN": unique}):
        traced.extend(tf.identity_n([*outputs, *inputs]))
    return traced[: len(outputs)]
