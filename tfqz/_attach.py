"""Gradients of any order for values that TensorFlow can't, or shouldn't, differentiate by itself."""

import tensorflow as tf


def register_pullback(name, outputs):
    """Decorator: `pullback(inputs, outputs, cotangents)` returns the cotangents of the inputs; it has `outputs` outputs.

    The outputs that it is given have this very gradient again, so what it computes from them can be differentiated too. `name`
    stays in saved graphs.
    """

    def register(pullback):
        @tf.RegisterGradient(name)
        def gradient(op, *cotangents):
            inputs, values = list(op.inputs)[outputs:], list(op.outputs)[:outputs]
            return [None] * outputs + list(pullback(inputs, values, cotangents[:outputs]))

        return pullback

    return register


@tf.function(reduce_retracing=True, autograph=False)
def attach_gradient(name, inputs, outputs):
    """Returns `outputs`, computed from `inputs` anyhow, as functions of `inputs` with the pullback registered as `name`.

    An IdentityN carries both and names its gradient, which finds all it needs among the op's inputs and outputs.
    `tf.custom_gradient` would keep tensors in a closure: right once, wrong or out of reach where the gradient is itself
    differentiated in another graph. The function around it is what makes tapes honour the name, eagerly and in graphs.
    """
    graph = tf.compat.v1.get_default_graph()
    with graph.gradient_override_map({"IdentityN": name}):
        return tf.identity_n([*outputs, *inputs])[: len(outputs)]
