"""Saves a model for programs that have no Python: the factors of pencils, and the gradient of a function of all of them.

    python export.py FOLDER [--backend graph]

Two signatures, each for any number of pencils of any size, `a` and `b` [batch, n, n] in double precision:

    serving_default    s, t, q, z
    gradient           value, the sum of all entries of all four factors; da and db, its gradient
"""

import argparse
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import tfqz

# SavedModel leaves this folder to whoever needs it.
SIGNATURES = Path("assets.extra", "signatures.txt")


class Model(tf.Module):
    pencils = [tf.TensorSpec([None, None, None], tf.float64, name) for name in "ab"]

    def __init__(self, backend):
        super().__init__()
        self.backend = backend

    @tf.function(input_signature=pencils)
    def factors(self, a, b):
        return tfqz.qz(a, b, backend=self.backend)._asdict()

    @tf.function(input_signature=pencils)
    def gradient(self, a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = tf.add_n([tf.reduce_sum(factor) for factor in tfqz.qz(a, b, backend=self.backend)])
        da, db = tape.gradient(value, [a, b])
        return {"value": value, "da": da, "db": db}


def export(folder, backend):
    model = Model(backend)
    tf.saved_model.save(model, folder, signatures={"serving_default": model.factors, "gradient": model.gradient})
    path = Path(folder, SIGNATURES)
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in tensors(folder)))


def tensors(folder):
    """For each input and output of each signature: signature, direction, key, the graph's operation and its output."""
    saved = saved_model_pb2.SavedModel.FromString(Path(folder, "saved_model.pb").read_bytes())
    (graph,) = saved.meta_graphs
    for name, signature in sorted(graph.signature_def.items()):
        if signature.method_name:  # not the one that initialises the model
            for direction in ("inputs", "outputs"):
                for key, tensor in sorted(getattr(signature, direction).items()):
                    operation, output = tensor.name.split(":")
                    yield f"{name} {direction} {key} {operation} {output}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--backend", default="native", choices=("native", "graph"))
    arguments = parser.parse_args()
    export(arguments.folder, arguments.backend)
