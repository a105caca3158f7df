"""A plant and its controller designed together: where two actuators on a beam should stand, when a regulator will drive them.

    python examples/lqr.py [--figure FILE]

A blow hits a simply supported beam of length 1, no place likelier than another. Two forces u at the places p damp what it does to the
first four modes, y_k'' + 2 zeta w_k y_k' + w_k^2 y_k = phi_k(p_1) u_1 + phi_k(p_2) u_2 with phi_k(x) = sqrt(2) sin(k pi x) and
w_k = k^2, as the linear-quadratic regulator does best: it makes the integral of v^T v + w^2 y^2 + R u^2 as small as x^T X x for a start x.
The blow's mean over all places makes that a sum over diagonal entries of X, since the phi_k are orthonormal, and with cables from the left
end that have a price the design costs

    J(p) = sum_k X(p)_k'k' + PRICE (p_1 + p_2),    k' the velocity of mode k.

An actuator does nothing to a mode whose node it stands on, so J has hills at pairs of nodes and several valleys. Adam descends by
the gradient of `tfqz.lqr`, from several starts as one batch. SciPy's solutions check the gradient by central differences, a scan checks
the optimum, a simulation the cost of a blow. The exit status is 1 if a check fails.
"""

import argparse
import itertools
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import scipy.linalg
import tensorflow as tf

import tfqz

MODES = np.arange(1, 5)
OMEGA, ZETA = MODES**2.0, 0.01  # in units of the first mode's angular frequency
A = np.block([[np.zeros((4, 4)), np.eye(4)], [-np.diag(OMEGA**2), -np.diag(2 * ZETA * OMEGA)]])
Q = np.diag(np.concatenate([OMEGA**2, np.ones(4)]))  # twice the energy
R = 0.1 * np.eye(2)
PRICE = 0.2
THIRDS = np.array([1, 2]) / 3  # evenly spaced, and on the nodes of mode 3
STEPS, RATE = 120, 0.02
BLOW, TIMES = 0.15, np.linspace(0, 25, 5001)


def shapes(x):
    """phi_k(x), [..., 4] for x [...]."""
    return np.sqrt(2) * tf.sin(np.pi * MODES * x[..., None])


def actuators(p):
    """B, [..., 8, 2], of actuators at p, [..., 2]."""
    forces = tf.linalg.matrix_transpose(shapes(p))
    return tf.concat([tf.zeros_like(forces), forces], axis=-2)


def cost(p, solution):
    """J, [...]."""
    return tf.reduce_sum(tf.linalg.diag_part(solution)[..., 4:], -1) + PRICE * tf.reduce_sum(p, -1)


@tf.function
def design(p):
    """J, [...], with the best regulator of each plant."""
    return cost(p, tfqz.lqr(A, actuators(p), Q, R).solution)


def scipys(p):
    """J of one plant, [2]."""
    return cost(p, scipy.linalg.solve_continuous_are(A, actuators(p).numpy(), Q, R)).numpy()


def descend(starts):
    """The way from each start, [STEPS + 1, starts, 2]."""
    p = keras.Variable(starts, dtype="float64")
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, STEPS), beta_2=0.99)
    optimizer.build([p])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            costs = design(p.value)
        optimizer.apply_gradients([(tape.gradient(costs, p.value), p)])
        return tf.reduce_min(costs)

    bar, path = keras.utils.Progbar(STEPS, stateful_metrics=["lowest cost"], unit_name="step"), [p.numpy()]
    for i in range(STEPS):
        bar.update(i + 1, [("lowest cost", step().numpy())])
        path.append(p.numpy())
    return np.array(path)


def gradient_error(places):
    """Of tfqz's gradient at `places`, [n, 2], relative to central differences of SciPy's solutions."""
    p, h = tf.constant(places), 1e-5
    with tf.GradientTape() as tape:
        tape.watch(p)
        costs = design(p)
    differences = np.array([[(scipys(x + h * e) - scipys(x - h * e)) / (2 * h) for e in np.eye(2)] for x in places])
    return np.linalg.norm(tape.gradient(costs, p) - differences) / np.linalg.norm(differences)


def simulated(p):
    """Modes, [times, 8], and twice the energy after the blow, [times]; and how far the cost so far is from what X says."""
    b = actuators(p).numpy()
    gain, x, _ = (output.numpy() for output in tfqz.lqr(A, b, Q, R))
    states = [np.concatenate([np.zeros(4), shapes(np.array(BLOW))])]
    onwards = scipy.linalg.expm((A - b @ gain) * TIMES[1])
    for _ in TIMES[1:]:
        states.append(onwards @ states[-1])
    states = np.array(states)
    energy, effort = (np.einsum("ti,ij,tj->t", states, weight, states) for weight in (Q, gain.T @ R @ gain))
    predicted = states[0] @ x @ states[0] - states[-1] @ x @ states[-1]
    return states, energy, np.abs(np.trapezoid(energy + effort, TIMES) / predicted - 1)


def main(figure):
    starts = np.array([THIRDS, *itertools.combinations((0.1, 0.3, 0.5, 0.7, 0.9), 2)])
    error = gradient_error(starts)
    print(f"Gradient at {len(starts)} starts: relative error {error:.0e} against central differences of SciPy's solutions")

    path = descend(starts)
    costs = design(path[-1]).numpy()
    best = path[-1, np.argmin(costs)]
    print(f"\n{'start':>12}{'J':>12}{'end':>16}{'J':>12}")
    for start, before, end, after in zip(starts, design(starts).numpy(), path[-1], costs):
        print(f"{start[0]:8.3f}{start[1]:7.3f}{before:9.4f}{end[0]:12.4f}{end[1]:8.4f}{after:9.4f}")

    grid = np.linspace(0.02, 0.98, 97)
    pairs = np.array([[(p1, p2) for p1 in grid] for p2 in grid])
    scan = design(pairs).numpy()
    least = np.sort(pairs[np.unravel_index(np.argmin(scan), scan.shape)])
    print(f"\nFound: J = {np.min(costs):.5f} at p = ({best[0]:.4f}, {best[1]:.4f}). The lowest of a scan of {scan.size} designs, 0.01 apart:")
    print(f"J = {np.min(scan):.5f} at p = ({least[0]:.2f}, {least[1]:.2f}). Actuators at 1/3 and 2/3: J = {design(THIRDS):.5f}")

    before, after = simulated(THIRDS), simulated(best)
    print(f"Cost of a blow at {BLOW}, simulated and by X: {max(before[2], after[2]):.0e} apart, relative")
    if figure:
        draw(path, best, grid, scan, before, after, figure)
    found = np.min(costs) <= np.min(scan) and np.max(np.abs(best - least)) <= 0.01
    return 0 if found and error < 1e-6 and max(before[2], after[2]) < 1e-3 else 1
