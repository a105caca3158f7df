"""Trains with a layer of tfqz under a strategy and prints the weights: a program for test_distribute.py.

    python distributed_training.py fit|loop none|mirrored|workers

`fit` is that of a Keras model. `loop` has variables of TensorFlow's: Keras 3.15 can't fit under MultiWorkerMirroredStrategy.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

import tfqz.keras

N, BATCH, STEPS, RATE = 3, 8, 8, 0.01


def strategy(kind):
    if kind == "mirrored":
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    return tf.distribute.MultiWorkerMirroredStrategy() if kind == "workers" else tf.distribute.get_strategy()


def data():
    rng = np.random.default_rng(1)
    pencil = tuple(rng.standard_normal((STEPS * BATCH, N, N)) for _ in "ab")
    targets = tuple(rng.standard_normal((STEPS * BATCH, N, 2)) for _ in range(2))
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return tf.data.Dataset.from_tensor_slices((pencil, targets)).batch(BATCH).with_options(options)


def fit(chosen):
    """Matrices around the factors of the pencils: to S + T, and to Q beside Z."""
    keras.config.set_floatx("float64")
    keras.utils.set_random_seed(0)
    with chosen.scope():
        pencil = [keras.Input((N, N)) for _ in "ab"]
        s, t, q, z = tfqz.keras.QZ()([keras.layers.Dense(N)(x) for x in pencil])
        heads = [keras.layers.Dense(2)(x) for x in (s + t, keras.ops.concatenate([q, z], axis=-1))]
        model = keras.Model(pencil, heads)
        model.compile(optimizer=keras.optimizers.SGD(RATE), loss="mse")
    model.fit(data(), verbose=0)
    return model.trainable_variables


def loop(chosen):
    """Gradient descent for matrices that multiply the pencils from the left and all factors from the right."""
    layer = tfqz.keras.QZ()
    with chosen.scope():
        left, right = (tf.Variable(tf.eye(N, columns, dtype=tf.float64)) for columns in (N, 2))

    @tf.function
    def gradients(pencil, targets):
        with tf.GradientTape() as tape:
            s, t, q, z = layer([left @ x for x in pencil])
            losses = [tf.reduce_mean(((x + y) @ right - target) ** 2) for x, y, target in zip((s, q), (t, z), targets)]
            loss = tf.add_n(losses)
        return tape.gradient(loss, [left, right])

    for batch in chosen.experimental_distribute_dataset(data()):
        for variable, gradient in zip((left, right), chosen.run(gradients, batch)):
            mean = chosen.reduce("MEAN", gradient, axis=None)
            with chosen.scope():
                variable.assign_sub(RATE * mean)
    return left, right


def main(train, kind):
    chosen = strategy(kind)
    weights = [weight.numpy().ravel().tolist() for weight in train(chosen)]
    print(json.dumps({"replicas": chosen.num_replicas_in_sync, "weights": weights}))


if __name__ == "__main__":
    main({"fit": fit, "loop": loop}[sys.argv[1]], sys.argv[2])
