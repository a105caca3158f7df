"""The functions that ops carry for XLA, in the attribute `body`, as strangers may write them."""

import resource
import zlib

import numpy as np
import pytest
import raw_ops
import tensorflow as tf
from tensorflow.core.framework import function_pb2

from tfqz._backends import native

SHAPE = (2, 3, 3)
MATRICES = tf.TensorSpec([None, None, None], tf.float64)
MEGABYTES = 2**10  # in units of getrusage
pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")


def body(function, *specs):
    """As tfqz makes it, of any function."""
    concrete = tf.function(function, autograph=False).get_concrete_function(*specs)
    functions = concrete.graph.as_graph_def().library
    functions.function.add().CopyFrom(concrete.function_def)
    return functions


def packed(functions):
    return zlib.compress(functions.SerializeToString())


def right(a):
    return a, a


RIGHT = body(right, MATRICES)


def calling(*names, name, stateful=False):
    """A function from a float64 to one that calls these one after the other."""
    function = function_pb2.FunctionDef()
    function.signature.name = name
    function.signature.input_arg.add(name="x", type=tf.float64.as_datatype_enum)
    function.signature.output_arg.add(name="y", type=tf.float64.as_datatype_enum)
    before = "x"
    for place, called in enumerate(names):
        node = function.node_def.add(name=f"call{place}", op="StatefulPartitionedCall" if stateful else "PartitionedCall", input=[before])
        node.attr["Tin"].list.type.append(tf.float64.as_datatype_enum)
        node.attr["Tout"].list.type.append(tf.float64.as_datatype_enum)
        node.attr["f"].func.name = called
        before = f"call{place}:output:0"
    function.ret["y"] = before
    return function


def with_calls(*functions):
    """`RIGHT` whose first result goes through the last of these functions."""
    library = function_pb2.FunctionDefLibrary()
    library.CopyFrom(RIGHT)
    last = library.function[-1]
    node = last.node_def.add(name="through", op="PartitionedCall", input=["a"])
    node.attr["Tin"].list.type.append(tf.float64.as_datatype_enum)
    node.attr["Tout"].list.type.append(tf.float64.as_datatype_enum)
    node.attr["f"].func.name = functions[-1].signature.name
    last.ret[last.signature.output_arg[0].name] = "through:output:0"
    return function_pb2.FunctionDefLibrary(function=[*functions, *library.function])


def edited(edit):
    library = function_pb2.FunctionDefLibrary()
    library.CopyFrom(RIGHT)
    edit(library.function[-1])
    return library


def polymorphic(function):
    function.signature.input_arg[0].ClearField("type")
    function.signature.input_arg[0].type_attr = "T"
    function.signature.attr.add(name="T", type="type")


def cycle(count):
    return [calling(f"f{(i + 1) % count}", name=f"f{i}") for i in range(count)]


def chain(count, calls=1):
    return [calling(name="f0"), *(calling(*[f"f{i}"] * calls, name=f"f{i + 1}") for i in range(count))]


WRONG = "the attribute `body` must hold compressed TensorFlow functions; got "
SIGNATURE = WRONG + r"a last one that isn't from \(double\) to \(double, double\)"
CALLS = WRONG + "some that call themselves, or one another more than 32 deep, or have more than 100000 nodes"
RESULTS = r"the attribute `body` must return \(f64\[2,3,3\], f64\[2,3,3\]\); got "
BODIES = {
    "noise": (lambda: bytes(range(256)), WRONG + "256 bytes of something else"),
    "compressed noise": (lambda: zlib.compress(np.random.default_rng(0).bytes(5000)), WRONG),
    "no functions": (lambda: zlib.compress(b""), WRONG + "8 bytes of something else"),
    "a bomb": (lambda: zlib.compress(bytes(2**26)), WRONG + "more than 4194304 bytes of them"),
    "functions without end": (lambda: zlib.compress(b"\x0a\x00" * 2**20 * 3), WRONG + "more than 4194304 bytes of them"),
    "truncated": (lambda: packed(RIGHT)[: len(packed(RIGHT)) // 2], WRONG),
    "truncated functions": (lambda: zlib.compress(RIGHT.SerializeToString()[:-20]), WRONG),
    "no inputs": (lambda: packed(body(lambda: (tf.zeros(SHAPE, tf.float64),) * 2)), SIGNATURE),
    "more inputs": (lambda: packed(body(lambda a, b: (a, b), MATRICES, MATRICES)), SIGNATURE),
    "other inputs": (lambda: packed(body(lambda a: (tf.cast(a, tf.float64),) * 2, tf.TensorSpec(None, tf.float32))), SIGNATURE),
    "fewer results": (lambda: packed(body(lambda a: a, MATRICES)), SIGNATURE),
    "other results": (lambda: packed(body(lambda a: (a, tf.cast(a, tf.float32)), MATRICES)), SIGNATURE),
    "any inputs": (lambda: packed(edited(polymorphic)), SIGNATURE),
    "smaller results": (lambda: packed(body(lambda a: (a, a[:, :1]), MATRICES)), RESULTS + r"\(f64\[2,3,3\], f64\[2,1,3\]\)"),
    "larger results": (lambda: packed(body(lambda a: (a, tf.concat([a, a], 0)), MATRICES)), RESULTS),
    "itself": (lambda: packed(with_calls(*cycle(1))), CALLS),
    "a circle": (lambda: packed(with_calls(*cycle(5))), CALLS),
    "a deep one": (lambda: packed(with_calls(*chain(1000))), CALLS),
    "a wide one": (lambda: packed(with_calls(*chain(20, calls=8))), CALLS),
    "an unknown op": (lambda: packed(edited(lambda f: f.node_def.add(name="x", op="Nonsense"))), "Nonsense"),
    "an input of nothing": (lambda: packed(edited(lambda f: f.node_def.add(name="x", op="Neg", input=["nothing"]))), ""),
    "results of nothing": (lambda: packed(edited(lambda f: f.ret.clear())), ""),
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("op", ["schur", "solve_triangular"])
def test_bodies(op, kind, monkeypatch):
    """Of an op that calls C++ under XLA on the CPU but for this variable, and of one that doesn't."""
    monkeypatch.setenv("TFQZ_XLA", "graph")
    make, words = BODIES[kind]
    text = make()
    if op == "solve_triangular":
        if words in (SIGNATURE, RESULTS) or not words.startswith(WRONG):
            pytest.skip("of another signature anyhow")
        words = WRONG
    inputs = {name: raw_ops.filled(op, name, SHAPE, tf.float64) for name in raw_ops.shapes(op)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.NotFoundError), match=words or None):
        raw_ops.call("xla", op, inputs, body=text)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 700 * MEGABYTES


def test_right_body(monkeypatch):
    """Nothing else is refused."""
    monkeypatch.setenv("TFQZ_XLA", "graph")
    x = tf.random.normal(SHAPE, dtype=tf.float64)
    for functions in (RIGHT, with_calls(*chain(20))):
        for found in raw_ops.call("xla", "schur", {"a": x}, body=packed(functions)):
            np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("mode", raw_ops.MODES)
def test_nobody_reads_it_elsewhere(mode):
    """XLA on the CPU calls C++, and so does everything without XLA."""
    inputs = {"a": raw_ops.filled("schur", "a", SHAPE, tf.float64)}
    raw_ops.call(mode, "schur", inputs, body=b"noise")
