"""How tf.vectorized_map, tape.jacobian and tape.batch_jacobian make one op for all iterations of one for each.

All ops take batches: the iterations are one more dimension before them. TensorFlow has no public way to say so; where the one that it
has is missing, ops run in a loop instead, one iteration after the other.
"""

import tensorflow as tf

from tfqz._derivative import attach

try:
    from tensorflow.python.ops.parallel_for import pfor as _pfor
except ImportError:
    _pfor = None


def _with_all_stacked(op):
    """A converter: all inputs get the iterations as their first dimension."""
    return _again(op, _stacked(op, range(op.num_inputs)))


def _of_pencil(op):
    """A converter of ops whose first two inputs broadcast."""
    return _again(op, _pencil(op, 0))


def _of_factors(op):
    """`Tfqz>Extend`: a matrix whose batch shape may be smaller than that of the other inputs."""
    op.stack_inputs(range(1, op.num_inputs))
    return _again(op, [*_pencil(op, 0), *(op.input(i).t for i in range(2, op.num_inputs))])


def _attached(op):
    """`Tfqz>Attach`: the values, then the arguments."""
    rule = attach.rule(tf.compat.as_str(op.get_attr("rule")))
    return _again(op, [*_stacked(op, range(len(op.outputs))), *_arguments(op, rule)])


def _behind_barrier(op):
    """`XlaOptimizationBarrier`: what tells the rule, the values, the arguments. Somebody else's has no rule."""
    marker = op.input(0)
    name = None if marker.is_stacked else attach.rule_of_barrier(marker.t)
    if name is None:
        return _with_all_stacked(op)
    rule = attach.rule(name)
    values = _stacked(op, range(1, op.num_inputs - rule.arguments))
    attached = _again(op, [marker.t, *values, *_arguments(op, rule)])[1 : len(values) + 1]
    # Arguments come out as well, which nobody uses: as they were, if they are no batches.
    return [marker, *attached, *(op.input(i) for i in range(len(values) + 1, op.num_inputs))]


def _arguments(op, rule):
    """The inputs behind the values, the arguments of the rule, with the iterations as a batch dimension."""
    if not rule.batch_first:
        raise _pfor.ConversionNotImplementedError("the iterations would not be a batch")
    first = op.num_inputs - rule.arguments
    if not rule.broadcast:
        return _stacked(op, range(first, op.num_inputs))
    return [*_pencil(op, first), *_stacked(op, range(first + 2, op.num_inputs))]


def _pencil(op, first):
    """Two inputs whose batch shapes broadcast: behind the iterations what has fewer dimensions than the other gets ones."""
    inputs = [op.input(first + i) for i in range(2)]
    known = all(x.t.shape.rank is not None for x in inputs)
    ranks = [(x.t.shape.rank if known else tf.rank(x.t)) - int(x.is_stacked) for x in inputs]

    def aligned(x, missing):
        if not x.is_stacked or (known and missing <= 0):
            return x.t
        shape = tf.shape(x.t)
        return tf.reshape(x.t, tf.concat([shape[:1], tf.ones([tf.maximum(missing, 0)], tf.int32), shape[1:]], axis=0))

    return [aligned(x, other - rank) for x, rank, other in zip(inputs, ranks, reversed(ranks))]


def _stacked(op, places):
    """Inputs with the iterations as their first dimension."""
    op.stack_inputs(places)
    return [op.input(i).t for i in places]


def _again(op, inputs):
    """The same op of other inputs."""
    made = _pfor._create_op(op.op_type, inputs, [x.dtype for x in op.outputs], op.op.node_def.attr)
    return [_pfor.wrap(x, True) for x in made.outputs]


_CONVERTERS = {
    "Tfqz>Qz": _of_pencil,
    "Tfqz>Compress": _of_pencil,
    "Tfqz>Extend": _of_factors,
    "Tfqz>Attach": _attached,
    "XlaOptimizationBarrier": _behind_barrier,
}
_STACKED = (
    "Reorder",
    "Schur",
    "Basis",
    "Check",
    "SolveTriangular",
    "SolveBlock",
    "QzGradient",
    "Complement",
    "WholeGradient",
    "Svd",
    "Balance",
    "Eigenvectors",
    "SolveBordered",
)
_CONVERTERS |= dict.fromkeys((f"Tfqz>{name}" for name in _STACKED), _with_all_stacked)
_CONVERTERS |= dict.fromkeys(("Qr", "Bitcast"), _with_all_stacked)  # TensorFlow's own, which take batches and have no converter

if _pfor is not None:
    for _name, _convert in _CONVERTERS.items():
        if _name not in _pfor._pfor_converter_registry:
            _pfor.RegisterPFor(_name)(_convert)
