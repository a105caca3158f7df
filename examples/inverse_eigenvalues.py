"""An inverse eigenvalue problem: find a chain of masses, springs and dampers that vibrates with given eigenvalues.

    python examples/inverse_eigenvalues.py [--figure FILE] [--quick]

The chain M x'' + C x' + K x = 0 between two walls has the eigenvalues of the pencil

    A - lambda B = [0 I; -K -C] - lambda [I 0; 0 M],

which M, C and K make as structured as they are: M is diagonal, C and K are tridiagonal and positive. A Keras model has the
masses, dampers and springs as its weights. QZ finds eigenvalues in no particular order, so what is fitted is a function of all
of them together: their logarithmic potential, sum_j log |p - lambda_j|, at points p of the imaginary axis, which is what one
measures who shakes the chain at different frequencies. `fit` sees points and values like any other data.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import scipy.linalg
import scipy.optimize
import tensorflow as tf

import tfqz.keras

MASSES = 5
POINTS = 64
STEPS_PER_EPOCH = 100


class Chain(keras.layers.Layer):
    """The pencil of a chain; the weights are logarithms, so that masses, dampers and springs stay positive."""

    def __init__(self, masses, dampers, springs):
        super().__init__(dtype="float64", autocast=False)
        start = {"masses": masses, "dampers": dampers, "springs": springs}
        self.logarithms = [
            self.add_weight(shape=(len(values),), initializer=initializer(np.log(values)), name=name) for name, values in start.items()
        ]

    def pencil(self):
        masses, dampers, springs = (tf.exp(tf.convert_to_tensor(x)) for x in self.logarithms)
        one = tf.eye(masses.shape[0], dtype=tf.float64)
        zero = tf.zeros_like(one)
        a = tf.concat([tf.concat([zero, one], 1), tf.concat([-stretched(springs), -stretched(dampers)], 1)], 0)
        b = tf.concat([tf.concat([one, zero], 1), tf.concat([zero, tf.linalg.diag(masses)], 1)], 0)
        return a, b


def initializer(values):
    return lambda shape, dtype: tf.constant(values, dtype)


def stretched(elements):
    """D diag(elements) D^T, where row i of D says which two of the elements mass i pulls at."""
    n = elements.shape[0] - 1
    incidence = tf.constant(np.eye(n, n + 1) - np.eye(n, n + 1, k=1))
    return tf.matmul(incidence * elements, incidence, transpose_b=True)


class Potential(keras.Model):
    """The logarithmic potential of a chain's eigenvalues at points, [batch, 2]: real and imaginary parts."""

    def __init__(self, chain):
        super().__init__(dtype="float64")
        self.chain = chain
        self.alpha_and_beta = tfqz.keras.GeneralizedEigenvalues(homogeneous=True)

    def call(self, points):
        alpha, beta = self.alpha_and_beta(self.chain.pencil())
        points = tf.complex(points[:, :1], points[:, 1:])
        return tf.reduce_sum(tf.math.log(tf.abs(points - alpha / tf.cast(beta, alpha.dtype))), axis=-1, keepdims=True)

    def eigenvalues(self):
        alpha, beta = self.alpha_and_beta(self.chain.pencil())
        return alpha.numpy() / beta.numpy()


class Trace(keras.callbacks.Callback):
    """The eigenvalues and the loss at every step. (The loss that Keras reports is a mean over the epoch so far.)"""

    def __init__(self, points, values):
        super().__init__()
        self.points, self.values, self.eigenvalues, self.losses = points, values, [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.eigenvalues.append(self.model.eigenvalues())
        self.losses.append(np.mean((self.model(self.points) - self.values) ** 2))


def matched(found, wanted):
    """`found` in the order that brings it nearest to `wanted`."""
    rows, columns = scipy.optimize.linear_sum_assignment(np.abs(wanted[:, None] - found[None, :]))
    return found[columns[np.argsort(rows)]]


def main(figure, epochs):
    keras.config.set_floatx("float64")  # Keras rounds what it is given to this
    rng = np.random.default_rng(5)

    # The eigenvalues that are wanted are those of a chain of which the model knows nothing.
    hidden = Potential(Chain(rng.uniform(0.6, 1.6, MASSES), rng.uniform(0.05, 0.4, MASSES + 1), rng.uniform(0.6, 2, MASSES + 1)))
    wanted = hidden.eigenvalues()
    points = np.stack([np.zeros(POINTS), np.linspace(0, 3, POINTS)], axis=1)

    model = Potential(Chain(np.ones(MASSES), np.full(MASSES + 1, 0.2), np.ones(MASSES + 1)))
    rate = keras.optimizers.schedules.CosineDecay(0.03, epochs * STEPS_PER_EPOCH)
    model.compile(optimizer=keras.optimizers.Adam(rate, beta_2=0.99), loss="mse")
    values = hidden(points)
    path = Trace(points, values)
    data = tf.data.Dataset.from_tensors((points, values)).repeat()
    model.fit(data, epochs=epochs, steps_per_epoch=STEPS_PER_EPOCH, shuffle=False, callbacks=[path])

    a, b = (x.numpy() for x in model.chain.pencil())
    found = matched(scipy.linalg.eigvals(a, b), wanted)
    error = np.max(np.abs(found - wanted) / np.abs(wanted))
    print(f"\n{'wanted':>24s}{'found (by SciPy, of the learned pencil)':>44s}")
    for x, y in sorted(zip(wanted, found), key=lambda pair: pair[0].imag):
        if x.imag > 0:
            print(f"{x.real:13.6f} {x.imag:+10.6f}i{y.real:32.6f} {y.imag:+10.6f}i")
    print(f"largest relative error: {error:.1e}")
    if figure:
        draw(path, wanted, figure)
    return error


def draw(path, wanted, file):
    try:
        import matplotlib
    except ImportError:
        print("no figure: matplotlib is not installed (pip install matplotlib)")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = [matched(path.eigenvalues[-1], wanted)]
    for eigenvalues in reversed(path.eigenvalues[:-1]):
        lines.append(matched(eigenvalues, lines[-1]))
    lines = np.array(lines[::-1])

    blue, red = "#2b6cb0", "#c53030"
    figure, (plane, falling) = pyplot.subplots(1, 2, figsize=(9, 4.6), width_ratios=(3, 2), layout="constrained")
    for line in lines.T:
        plane.plot(line.real, line.imag, color=blue, linewidth=1.2, zorder=1)
    plane.scatter(lines[0].real, lines[0].imag, s=28, facecolor="white", edgecolor=blue, label="uniform chain (start)", zorder=2)
    plane.scatter(lines[-1].real, lines[-1].imag, s=28, color=blue, label="learned chain", zorder=3)
    plane.scatter(wanted.real, wanted.imag, s=90, facecolor="none", edgecolor=red, linewidth=1.4, label="wanted", zorder=4)
    plane.set(xlabel="Re λ: growth rate (1/s)", ylabel="Im λ: angular frequency (rad/s)", ylim=(0, None))
    plane.set_title("Eigenvalues of the chain", fontsize=11)
    plane.legend(loc="lower left", frameon=False, fontsize=9)
    falling.semilogy(path.losses, color=blue, linewidth=1.2)
    falling.set(xlabel="step", ylabel="mean squared error of the potential")
    falling.set_title("Loss", fontsize=11)
    for axes in (plane, falling):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=100)
    print(f"drawn: {file}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--figure", default=str(Path(__file__).with_suffix(".png")), help="'' for none")
    parser.add_argument("--quick", action="store_true", help="a few steps, no check of the result")
    arguments = parser.parse_args()
    error = main(arguments.figure, epochs=1 if arguments.quick else 15)
    sys.exit(0 if arguments.quick or error < 1e-3 else 1)
