"""Mutations of the stored model, called: `python tests/fuzz_saved_model.py COUNT SEED [--loaded] [--xla]`.

Only nodes of tfqz's ops are changed, in ways that keep the file a file: attributes, inputs, types of ops, and bytes inside the attributes
`body`. Whatever ends the process, takes longer than a minute, or gigabytes, is a fault: the last line says which mutation it was.
`--loaded`: by tf.saved_model.load, and differentiated; otherwise TensorFlow is handed the functions, which takes a hundredth of the time.
`--xla`: compiled.
"""

import collections
import os
import resource
import shutil
import signal
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.eager import context, execute

import tfqz
from tfqz._derivative import attach

STORED = Path(__file__).resolve().parent / "data/saved_model.zip"
SECONDS = 60
GIGABYTES = 4
TYPES = [1, 2, 3, 7, 8, 9, 10, 14, 18, 19, 20, 21, 23, 101, 0, -1, 2**30]
INTEGERS = [-(2**63), -(2**31) - 1, -2, -1, 0, 1, 2, 3, 4, 5, 100, 2**31 - 1, 2**31, 2**40, 2**63 - 1]
# Of lists of inputs or outputs. TensorFlow itself doesn't survive a length of -1 or 2^63 - 1 in a function, its own AddN's either.
LENGTHS = ("pencils", "eigenvalues", "left", "right")


def nodes_of(model):
    """The nodes of tfqz's ops, wherever they stand."""
    graph = model.meta_graphs[0].graph_def
    everywhere = [graph.node, *(function.node_def for function in graph.library.function)]
    return [node for nodes in everywhere for node in nodes if node.op.startswith("Tfqz>")]


def flipped(text, rng):
    """With a few bytes changed, cut out, or doubled."""
    text = bytearray(text)
    for _ in range(rng.integers(1, 8)):
        if not text:
            break
        place, kind = int(rng.integers(len(text))), rng.integers(4)
        if kind < 2:
            text[place] = int(rng.integers(256))
        elif kind == 2:
            del text[place : place + int(rng.integers(1, 100))]
        else:
            text[place:place] = text[place : place + int(rng.integers(1, 100))]
    return bytes(text)


def another_body(body, nodes, rng):
    kind = rng.integers(6)
    if kind == 0 or not body:
        return flipped(body or b"x", rng)
    if kind == 1:
        return body[: rng.integers(len(body))]
    if kind == 2:
        others = [node.attr["body"].s for node in nodes if "body" in node.attr]
        return others[rng.integers(len(others))]
    if kind == 3:
        return zlib.compress(bytes(int(rng.integers(2**24))))
    return zlib.compress(flipped(zlib.decompress(body), rng))


def change_attribute(node, nodes, rng):
    names = sorted(name for name in node.attr if not name.startswith("_"))  # others are TensorFlow's
    if not names:
        return "nothing"
    name = names[rng.integers(len(names))]
    value = node.attr[name]
    kind = value.WhichOneof("value")
    if rng.random() < 0.1:
        del node.attr[name]
        return f"without {name}"
    if rng.random() < 0.1:
        value.CopyFrom(tf.compat.v1.AttrValue(i=int(rng.choice([0, 3]))))  # of another kind, in most cases
    elif kind == "type":
        value.type = int(rng.choice(TYPES)) if rng.random() < 0.9 else 2
    elif kind == "i":
        value.i = int(rng.integers(6) if name in LENGTHS else INTEGERS[rng.integers(len(INTEGERS))])
    elif kind == "b":
        value.b = not value.b
    elif kind == "list":
        del value.list.type[rng.integers(len(value.list.type) + 1) :]
        value.list.type.extend(int(x) for x in rng.choice(TYPES[:13], rng.integers(3)))
    elif name == "body":
        value.s = another_body(value.s, nodes, rng)
    elif name == "rule":
        value.s = rng.choice([*attach.RULES, "", "Nonsense"]).encode()
    else:
        value.s = flipped(value.s, rng)
    return name


def mutate(model, rng):
    """Changes the model; returns what was changed."""
    nodes, done = nodes_of(model), []
    for _ in range(rng.integers(1, 4)):
        node = nodes[rng.integers(len(nodes))]
        kind = rng.integers(10)
        if kind < 7:
            what = change_attribute(node, nodes, rng)
        elif kind < 9 and len(node.input) > 1:
            i, j = rng.integers(len(node.input), size=2)
            node.input[i], node.input[j] = node.input[j], node.input[i]
            what = f"inputs {i}, {j}"
        else:
            what = node.op = nodes[rng.integers(len(nodes))].op
        done.append(f"{node.op} {node.name}: {what}")
    return done


def pencils(rng):
    """Of usual and of other shapes and numbers."""
    x = rng.standard_normal((2, 3, 4, 4)) * 10.0 ** rng.choice([0, 0, 0, 150, -150])
    if rng.random() < 0.2:
        x.flat[rng.integers(x.size)] = rng.choice([np.nan, np.inf])
    return tf.constant(x[0]), tf.constant(x[1])


def loaded(model, _, rng, xla):
    """What whoever loads a model does with it: functions to call."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.unpack_archive(STORED, folder)
        Path(folder, "saved_model.pb").write_bytes(model.SerializeToString())
        restored = tf.saved_model.load(folder)
    a, b = pencils(rng)

    def differentiated():
        with tf.GradientTape() as tape:
            tape.watch(a)
            values = restored.values(a, b)
        return tape.gradient(values, a)

    return [tf.function(f, jit_compile=xla) for f in (lambda: restored.values(a, b), lambda: restored.gradient(a, b), differentiated)]


def handed_over(model, place, rng, xla):
    """The same of the functions that have nodes of tfqz's ops, under names of their own."""
    a, b = pencils(rng)
    calls = []
    for function in model.meta_graphs[0].graph_def.library.function:
        if not any(node.op.startswith("Tfqz>") for node in function.node_def) or len(function.signature.input_arg) != 2:
            continue
        function.signature.name += f"_{place}_{xla}"
        function.attr["_XlaMustCompile"].b = xla
        context.context().add_function_def(function)
        name, count = function.signature.name, len(function.signature.output_arg)
        calls.append(lambda name=name, count=count: execute.execute(name.encode(), count, [a, b], None, context.context()))
    return calls


def run(count, seed, prepare, xla):
    outcomes = collections.Counter()
    stored = zipfile.ZipFile(STORED).read("saved_model.pb")
    for function in saved_model_pb2.SavedModel.FromString(stored).meta_graphs[0].graph_def.library.function:
        context.context().add_function_def(function)
    for place in range(seed, seed + count):
        rng = np.random.default_rng(place)
        model = saved_model_pb2.SavedModel.FromString(stored)
        print(f"mutation {place}: {'; '.join(mutate(model, rng))}", flush=True)
        signal.alarm(SECONDS)
        try:
            calls = prepare(model, place, rng, xla)
        except Exception as error:
            outcomes[f"not loaded: {type(error).__name__}"] += 1
            continue
        for call in calls:
            try:
                call()
                outcomes["ran"] += 1
            except Exception as error:
                outcomes[type(error).__name__] += 1
    signal.alarm(0)
    return outcomes


def main(count, seed, *options):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + GIGABYTES * 2**30, resource.RLIM_INFINITY))
    outcomes = run(int(count), int(seed), loaded if "--loaded" in options else handed_over, "--xla" in options)
    print(f"{count} mutations from {seed} on with tfqz {tfqz.__version__}: {dict(outcomes.most_common())}")


if __name__ == "__main__":
    main(*sys.argv[1:])
