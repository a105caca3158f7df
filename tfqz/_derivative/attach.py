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
import weakref
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_optimization_barrier
from tensorflow.python.eager import record

from tfqz._backends import native as op_library
from tfqz._form import checks
from tfqz._form.traces import traced

# Saved graphs hold these: names by `Tfqz>Attach`, places by the other op. New ones come last.
RULES = (
    "Qz",
    "Eigvals",
    "OrdQz",
    "Blocks",
    "Schur",
    "Solve",
    "SolveAdjoint",
    "SolveOrdinary",
    "SolveOrdinaryAdjoint",
    "Basis",
    "Ratios",
    "MovingRatios",
    "MovingVectors",
    "Whole",
    "NullSpaces",
    "SolveUpper",
    "SolveLower",
    "Gap",
    "GapAdjoint",
    "CompressedQz",
    "CompressedEigvals",
    "CompressedRatios",
    "CompressedBlocks",
    "CompressedFrames",
    "TruncatedQz",
    "TruncatedEigvals",
    "TruncatedRatios",
    "TruncatedBlocks",
    "TruncatedFrames",
    "Sylvester",
    "Policy",
    "Lyapunov",
    "Coupled",
    "CoupledAdjoint",
    "LinearSolve",
    "Riccati",
    "DiscreteRiccati",
    "DescriptorRiccati",
    "DiscreteDescriptorRiccati",
    "RationalExpectations",
    "RightEigenvectors",
    "LeftEigenvectors",
    "Eigenpairs",
    "Bordered",
    "BorderedAdjoint",
    "Zeros",
)


_OWN = 1000  # from here on places are of rules that this process alone has


class _Rule(NamedTuple):
    """What is registered for the name of a rule."""

    pullback: Callable
    arguments: int  # how many there are
    broadcast: bool  # whether the batch shapes of the first two may be smaller ones than those of the values
    batch_first: bool  # whether the batch dimensions come first in all tensors
    place: int  # what stands for the rule in a marker's shape


_rules = {}  # by name
_names = {}  # by place
_numbers = itertools.count()


def register_rule(name, arguments, broadcast=False, batch_first=True):
    """Decorator for `pullback(arguments, values, cotangents, native)`, which returns the cotangents of the arguments.

    The values that it is given have this very gradient again, so what it computes from them can be differentiated too. `native`: with the
    op library, or in TensorFlow ops alone.
    """
    assert name in RULES

    def register(pullback):
        _add(name, pullback, arguments, broadcast, batch_first, RULES.index(name) + 1)
        return pullback

    return register


def _add(name, pullback, arguments, broadcast, batch_first, place):
    """Registers a rule; its place must be free."""
    assert place not in _names
    _rules[name] = _Rule(pullback, arguments, broadcast, batch_first, place)
    _names[place] = name


def rule(name):
    """What is registered for a name, which may come from a graph."""
    if name not in _rules:
        raise LookupError(f"`rule` must be the name of a rule; got {name!r}")
    return _rules[name]


def attach_gradient(name, arguments, values, native):
    """`values`, a list, with the gradient of the rule `name` by `arguments`."""
    values, arguments = list(values), list(arguments)
    make = op_library.attach if native else _behind_barrier
    return recorded(lambda: make(values, arguments, name), arguments, functools.partial(_rules[name].pullback, native=native))


def recorded(make, arguments, pullback):
    """`make()`, outputs of an op with a registered gradient; tapes and forward accumulators differentiate it by `pullback(arguments,
    outputs, cotangents)` all the same.

    By the registered gradient an accumulator would make a function of the derivative. That costs a trace, can't always be differentiated
    eagerly, and under XLA, where its halves are two functions, the whole would be compiled anew for each new value.
    """
    with record.stop_recording():
        outputs = make()

    def backward(*cotangents):
        return list(pullback(arguments, outputs, list(cotangents)))

    # Tapes first: what accumulators compute from the outputs must find these there.
    record.record_operation_backprop_only("Tfqz", outputs, arguments, backward)
    record.record_operation_forwardprop_only("Tfqz", outputs, arguments, backward, None)
    return outputs


def _behind_barrier(values, arguments, name):
    """The values behind TensorFlow's `XlaOptimizationBarrier`, which carries them, the arguments and the place of the rule."""
    operands = [tf.zeros([0, _rules[name].place], tf.bool), *values, *arguments]
    count = len(values)
    if tf.executing_eagerly():
        return xla_optimization_barrier(operands)[1 : count + 1]
    graph, op_name = weakref.ref(tf.compat.v1.get_default_graph()), None  # the registry outlives graphs

    def gradient(op, *cotangents):
        # Without an op it is traced to be saved with a model.
        op = graph().get_operation_by_name(op_name) if op is None else op
        return _gradient_of_barrier(op.inputs, op.outputs, cotangents)

    # A saved model finds gradients by a name for each trace: with one it can be trained on where tfqz is not.
    unique = f"Tfqz{name}-{next(_numbers)}"
    tf.RegisterGradient(unique)(gradient)
    with graph().gradient_override_map({"XlaOptimizationBarrier": unique}):
        attached = xla_optimization_barrier(operands)
    op_name = attached[0].op.name
    return attached[1 : count + 1]


def _gradient_of_barrier(inputs, outputs, cotangents):
    """Cotangents of a barrier's inputs: by its rule, or, of somebody else's barrier, those of its outputs."""
    rule = rule_of_barrier(inputs[0])
    if rule is None:  # somebody else's
        return list(cotangents)
    count = len(inputs) - _rules[rule].arguments
    found = _rules[rule].pullback(list(inputs[count:]), list(outputs[1:count]), list(cotangents[1:count]), native=False)
    return [None] * count + list(found)


def rule_of_barrier(marker):
    """The rule's name that the first input of an `XlaOptimizationBarrier` tells, or None."""
    zero, place = checks.inner(marker.shape) if marker.shape.rank == 2 else (None, None)
    return _names.get(place) if marker.dtype == tf.bool and zero == 0 else None


@tf.RegisterGradient("XlaOptimizationBarrier")
def _gradient_of_barrier_op(op, *cotangents):
    return _gradient_of_barrier(op.inputs, op.outputs, cotangents)


@tf.RegisterGradient("Tfqz>Attach")
def _gradient_of_attach_op(op, *cotangents):
    name, count = tf.compat.as_str(op.get_attr("rule")), len(op.outputs)
    pullback, arguments = rule(name).pullback, list(op.inputs[count:])
    if len(arguments) != rule(name).arguments:
        raise ValueError(f"`rule` must be one of as many arguments; got {name!r} of {rule(name).arguments} and {len(arguments)}")
    return [None] * count + list(pullback(arguments, list(op.outputs), list(cotangents), native=True))


def differentiable(function):
    """Decorator for functions of TensorFlow ops with a derivative of every order: `traced` in eager code, and so are the derivatives; in a
    graph ops of its own.

    TensorFlow can differentiate a trace too, but eagerly not in all combinations of tapes and forward accumulators; and in a graph as two
    functions, where what the first hands to the second makes XLA take inputs for constants of the program: it would compile anew for
    each new value. (A tape in eager code is no way either: it sees nothing of what a forward accumulator computes.)

    The function that is returned has an attribute `pullback(arguments, cotangents, **options)`, its derivative.
    """
    once = traced(function)

    @functools.cache
    def transposed(count, options):
        return differentiable(functools.partial(_vjp, functools.partial(function, **dict(options)), count))

    def pullback(arguments, cotangents, **options):
        found = iter(transposed(len(arguments), tuple(options.items()))(*arguments, *cotangents))
        return [next(found) if _varies(x) else None for x in arguments]

    @functools.cache
    def name_of_rule(count, options):
        place = _OWN + len(_rules)
        name = f"{getattr(function, '__name__', 'transposed')}, {place}"
        _add(name, lambda arguments, _, cotangents, native: pullback(arguments, cotangents, **dict(options)), count, False, True, place)
        return name

    @functools.wraps(function)
    def call(*tensors, **options):
        if not tf.executing_eagerly():
            return function(*tensors, **options)
        values = once(*tensors, **options)
        name = name_of_rule(len(tensors), tuple(options.items()))
        attached = attach_gradient(name, tensors, tf.nest.flatten(values), native=op_library.why_not() is None)
        return tf.nest.pack_sequence_as(values, attached)

    call.pullback = pullback
    return call


def _vjp(function, count, *tensors):
    """In a graph: from `count` inputs of a function in ops and the cotangents of what it makes of them the cotangents of the inputs, but
    for integers."""
    # Cotangents may depend on the inputs.
    inputs, cotangents = [tf.identity(x) for x in tensors[:count]], list(tensors[count:])
    arguments, zero = [x for x in inputs if _varies(x)], tf.UnconnectedGradients.ZERO
    return tf.gradients(tf.nest.flatten(function(*inputs)), arguments, cotangents, unconnected_gradients=zero)


def _varies(x):
    """Whether a tensor can have a derivative: not an integer or a boolean."""
    return x.dtype.is_floating or x.dtype.is_complex
