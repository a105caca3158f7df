"""Saves the model of tests/data/saved_model.zip, and what the ops look like, tests/data/ops.json: `python tests/stored_model.py`.

Both are made once for each version that is released, by that version; tests/test_file_format.py holds later ones to them.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session

import tfqz
from tfqz._derivative import attach

DATA = Path(__file__).resolve().parent / "data"
MATRICES = tf.TensorSpec([None, 4, 4], tf.float64)


class Model(tf.Module):
    """With a gradient in the graph, and one behind the graph for those who load it."""

    @tf.function(input_signature=[MATRICES, MATRICES])
    def values(self, a, b):
        ordered = tfqz.ordqz(a, b, "lhp", backend="native")
        subspace = tfqz.deflating_subspace(a, b, "lhp", backend="native")
        parts = [*tfqz.qz(a, b, backend="native"), ordered.alpha, ordered.q, subspace.right_projector]
        schur = tfqz.schur(a, backend="native")
        sizes = [tf.reduce_sum(tf.abs(part) ** 2, [-2, -1] if part.shape.rank == 3 else [-1]) for part in [*parts, *schur]]
        return tf.stack([tf.cast(size, tf.float64) * (k + 1) for k, size in enumerate(sizes)], axis=-1)

    @tf.function(input_signature=[MATRICES, MATRICES])
    def gradient(self, a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            factors = tfqz.qz(a, b, backend="native")
            value = tf.add_n([tf.reduce_sum(part) for part in factors])
        return tape.gradient(value, [a, b])


def pencils():
    """Of which QZ finds the eigenvalues in one order whatever the rounding."""
    rng = np.random.default_rng(20)
    a = np.diag([4.0, -3.0, 2.0, -1.0]) + 0.1 * rng.standard_normal((3, 4, 4))
    return a, np.eye(4) + 0.1 * rng.standard_normal((3, 4, 4))


def ops():
    """{op: {"inputs": [[name, type], ...], "outputs": the same, "attributes": {name: [type, whether there is a default]}}}"""
    listed = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))

    def arguments(them):
        return [[x.name, tf.as_dtype(x.type).name if x.type else x.type_attr or x.type_list_attr, x.number_attr] for x in them]

    return {
        op.name: {
            "inputs": arguments(op.input_arg),
            "outputs": arguments(op.output_arg),
            "attributes": {attribute.name: [attribute.type, attribute.HasField("default_value")] for attribute in op.attr},
        }
        for op in listed.op
        if op.name.startswith("Tfqz>")
    }


def main():
    a, b = pencils()
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(model, folder)
        da, db = model.gradient(a, b)
        np.savez(Path(folder, "expected.npz"), a=a, b=b, values=model.values(a, b), da=da, db=db, version=tfqz.__version__)
        shutil.make_archive(DATA / "saved_model", "zip", folder)
    (DATA / "ops.json").write_text(json.dumps({"version": tfqz.__version__, "ops": ops(), "rules": list(attach.RULES)}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
