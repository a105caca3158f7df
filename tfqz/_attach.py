"""Gradients of any order for values that TensorFlow can't, or shouldn't, differentiate by itself.

    values = attach_gradient(rule, arguments, values, native)

returns the values, which were computed from the arguments anyhow, as functions of these, with the gradient that the rule has. An op
carries both, and the gradient is registered for its *type*: that alone outlives whatever TensorFlow makes of a program. Tapes and forward
accumulators in a graph look gradients up by the type; tf.vectorized_map and tape.jacobian make new ops of the same type; nested
functions, loops, saved and loaded graphs keep it. What is attached otherwise is lost in some of these without a word: a gradient that
overrides an op's own (a tape inside a graph doesn't look at it, and tf.vectorized_map drops it), and tf.custom_gradient, which is made of
one; besides, its gradient keeps tensors in a closure, which are out of reach where a function's gradient is itself differentiated in
another graph: there it fails from the second derivative on.

The op is the library's `Tfqz>Attach`, with the rule's name. Programs that need no library have TensorFlow's own
`XlaOptimizationBarrier` instead, the one op of any tensors with as many outputs, on any device and in any XLA, that TensorFlow has no
gradient for. Its first input has no entries; its shape, [0, k], tells the rule.
"""

import functools
import itertools
from typing import Callable, NamedTuple

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_optimization_barrier

from tfqz._backends import native as op_library
from tfqz._functions import traced

# Saved graphs hold these: names by `Tfqz>Attach`, places by the other op. New ones come last.
RULES = ("Qz", "Eigvals", "OrdQz", "Blocks", "Schur", "Solve", "SolveAdjoint", "SolveOrdinary", "SolveOrdinaryAdjoint", "Basis",
         "Ratios", "MovingRatios", "MovingVectors")


class _Rule(NamedTuple):
    pullback: Callable
    arguments: int  # how many there are
    broadcast: bool  # whether the batch shapes of the first two may be smaller ones than those of the values


_rules = {}
_numbers = itertools.count()


def register_rule(name, arguments, broadcast=False):
    """Decorator for `pullback(arguments, values, cotangents, native)`, which returns the cotangents of the arguments.

    The values that it is given have this very gradient again, so what it computes from them can be differentiated too. `native`: with the
    op library, or in TensorFlow ops alone.
    """
    assert name in RULES

    def register(pullback):
        _rules[name] = _Rule(pullback, arguments, broadcast)
        return pullback

    return register


def rule_broadcasts(name):
    return _rules[name].broadcast


def attach_gradient(name, arguments, values, native):
    """`values`, a list, with the gradient of the rule `name` by `arguments`."""
    values, arguments = list(values), list(arguments)
    if native:
        return op_library.attach(values, arguments, name)
    operands = [tf.zeros([0, _place(name)], tf.bool), *values, *arguments]
    count = len(values)
    if tf.executing_eagerly():
        return xla_optimization_barrier(operands)[1 : count + 1]
    attached = []

    def gradient(op, *cotangents):
        # Without an op it is traced to be saved with a model, which binds the closure's tensors.
        return _gradient_of_barrier(op.inputs, op.outputs, cotangents) if op else _gradient_of_barrier(operands, attached, cotangents)

    # A saved model finds gradients by a name for each trace: with one it can be trained on where tfqz is not.
    unique = f"Tfqz{name}-{next(_numbers)}"
    tf.RegisterGradient(unique)(gradient)
    with tf.compat.v1.get_default_graph().gradient_override_map({"XlaOptimizationBarrier": unique}):
        attached.extend(xla_optimization_barrier(operands))
    return attached[1 : count + 1]


def _gradient_of_barrier(inputs, outputs, cotangents):
    rule = rule_of_barrier(inputs[0])
    if rule is None:  # somebody else's
        return list(cotangents)
    count = len(inputs) - _rules[rule].arguments
    found = _rules[rule].pullback(list(inputs[count:]), list(outputs[1:count]), list(cotangents[1:count]), native=False)
    return [None] * count + list(found)


def rule_of_barrier(marker):
    """The rule's name that the first input of an `XlaOptimizationBarrier` tells, or None."""
    if marker.dtype != tf.bool or marker.shape.rank != 2 or marker.shape[0] != 0:
        return None
    return next((name for name in _rules if _place(name) == marker.shape[1]), None)


def _place(name):
    """What stands for the rule in a marker's shape. Those of `differentiable` are of this process alone."""
    return RULES.index(name) + 1 if name in RULES else 1000 + list(_rules).index(name)


@tf.RegisterGradient("XlaOptimizationBarrier")
def _gradient_of_barrier_op(op, *cotangents):
    return _gradient_of_barrier(op.inputs, op.outputs, cotangents)


@tf.RegisterGradient("Tfqz>Attach")
def _gradient_of_attach_op(op, *cotangents):
    rule, count = _rules[tf.compat.as_str(op.get_attr("rule"))], len(op.outputs)
    return [None] * count + list(rule.pullback(list(op.inputs[count:]), list(op.outputs), list(cotangents), native=True))


def differentiable(function):
    """Decorator for functions of TensorFlow ops with a derivative of every order: `traced` in eager code, in a graph ops of its own.

    TensorFlow can differentiate a trace too, but not in all combinations of tapes and forward accumulators; and in a graph as two
    functions, where what the first hands to the second makes XLA take inputs for constants of the program: it would compile anew for
    each new value. Eager derivatives of derivatives are those of the ops, one by one.
    """
    once = traced(function)

    @functools.cache
    def rule(arguments, options):
        in_ops = functools.partial(function, **dict(options))
        name = f"{function.__module__}.{function.__name__}, {len(_rules)}"
        _rules[name] = _Rule(lambda arguments, _, cotangents, native: vjp(in_ops, arguments, cotangents), arguments, broadcast=False)
        return name

    @functools.wraps(function)
    def call(*tensors, **options):
        if not tf.executing_eagerly():
            return function(*tensors, **options)
        values = once(*(tf.stop_gradient(x) for x in tensors), **options)
        name = rule(len(tensors), tuple(options.items()))
        attached = attach_gradient(name, tensors, tf.nest.flatten(values), native=op_library.why_not() is None)
        return tf.nest.pack_sequence_as(values, attached)

    call.in_ops = function
    return call


def vjp(function, inputs, cotangents):
    """The cotangents of inputs from those of what a function in ops makes of them; None for integers."""
    cotangents, zero = list(cotangents), tf.UnconnectedGradients.ZERO
    varies = [x.dtype.is_floating or x.dtype.is_complex for x in inputs]
    # Cotangents may depend on the inputs.
    inputs = [tf.identity(x) for x in inputs]
    arguments = [x for x, is_argument in zip(inputs, varies) if is_argument]
    if tf.executing_eagerly():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(arguments)
            values = tf.nest.flatten(function(*inputs))
        found = tape.gradient(values, arguments, cotangents, unconnected_gradients=zero)
    else:
        found = tf.gradients(tf.nest.flatten(function(*inputs)), arguments, cotangents, unconnected_gradients=zero)
    found = iter(found)
    return [next(found) if is_argument else None for is_argument in varies]
