"""A plant and its controller designed together: where two actuators on a beam should stand, when a regulator will drive them.

    python examples/lqr.py [--figure FILE]

A blow hits a simply supported beam of length 1, no place likelier than another. Forces u_1 and u_2 at the places p_1 and p_2 damp what it
does to the first four modes, k = 1, ..., 4:

    y_k'' + 2 zeta w_k y_k' + w_k^2 y_k = phi_k(p_1) u_1 + phi_k(p_2) u_2,    phi_k(x) = sqrt(2) sin(k pi x),    w_k = k^2.

The linear-quadratic regulator makes the integral of sum_k (w_k^2 y_k^2 + y_k'^2) + 0.1 |u|^2 as small as x0^T X x0 for the state x0 after
the blow. A blow at x makes the velocities y_k' = phi_k(x). As the phi_k are orthonormal, the mean of x0^T X x0 over all x is the sum of
those diagonal entries of X that belong to velocities. With cables from the left end, which have a price, a design costs

    J(p) = sum_k X(p)[4 + k, 4 + k] + 0.2 (p_1 + p_2).

An actuator does nothing to a mode whose node it stands on, so that J has hills at pairs of nodes, and several valleys. Adam descends by
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
import scipy.integrate
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
STEPS = 200
BLOW, TIMES = 0.15, np.linspace(0, 10, 2001)


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


@tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float64)])
def designs(p):
    """J, [n], of plants with their best regulators, and its gradient, [n, 2]."""
    with tf.GradientTape() as tape:
        tape.watch(p)
        costs = cost(p, tfqz.lqr(A, actuators(p), Q, R).solution)
    return costs, tape.gradient(costs, p)


def differences(p, h=1e-6):
    """The gradient of J of one plant, [2], by central differences of SciPy's solutions."""

    def scipys(p):
        return cost(p, scipy.linalg.solve_continuous_are(A, actuators(p).numpy(), Q, R)).numpy()

    return np.array([scipys(p + h * e) - scipys(p - h * e) for e in np.eye(2)]) / (2 * h)


def descent(starts):
    """The way from each start, [STEPS + 1, starts, 2], and J along it, [STEPS + 1, starts]."""
    p = keras.Variable(starts, dtype="float64")
    # Each entry of p has its own step's size, so that starts don't disturb one another. Much momentum would carry them over hills.
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, STEPS), beta_1=0.5, beta_2=0.99)
    bar, path = keras.utils.Progbar(STEPS, stateful_metrics=["lowest J"], unit_name="step"), []
    for step in range(STEPS + 1):
        costs, gradients = designs(p.value)
        path.append((p.numpy(), costs.numpy()))
        if step < STEPS:
            optimizer.apply_gradients([(gradients, p)])
            bar.update(step + 1, [("lowest J", np.min(costs))])
    return (np.array(x) for x in zip(*path))


def simulated(p):
    """After the blow: the beam, [places, times], and twice its energy, [times]; how far the cost is from what X says, relative."""
    b = actuators(p).numpy()
    gain, x, _ = (output.numpy() for output in tfqz.lqr(A, b, Q, R))
    onwards = scipy.linalg.expm((A - b @ gain) * TIMES[1])
    states = [np.concatenate([np.zeros(4), shapes(np.array(BLOW))])]
    for _ in TIMES[1:]:
        states.append(onwards @ states[-1])
    states = np.array(states)
    energy, effort, to_come = (np.einsum("ti,ij,tj->t", states, weight, states) for weight in (Q, gain.T @ R @ gain, x))
    error = scipy.integrate.simpson(energy + effort, TIMES) / (to_come[0] - to_come[-1]) - 1
    return shapes(np.linspace(0, 1, 101)).numpy() @ states[:, :4].T, energy, np.abs(error)


def main(figure):
    starts = np.array([THIRDS, *itertools.combinations((0.1, 0.3, 0.5, 0.7, 0.9), 2)])
    gradients, oracle = designs(starts)[1].numpy(), np.array([differences(start) for start in starts])
    error = np.linalg.norm(gradients - oracle) / np.linalg.norm(oracle)
    print(f"The gradient at {len(starts)} starts is that by central differences of SciPy's solutions but for a relative error {error:.0e}.")

    path, costs = descent(starts)
    print(f"\n{'from':>10}{'J':>13}{'to':>13}{'J':>13}")
    for start, before, end, after in zip(starts, costs[0], path[-1], costs[-1]):
        print(f"{start[0]:8.3f}{start[1]:7.3f}{before:9.4f}{end[0]:10.4f}{end[1]:8.4f}{after:9.4f}")
    found, place = np.min(costs[-1]), np.sort(path[-1, np.argmin(costs[-1])])
    grid = np.linspace(0.02, 0.98, 97)
    scan = designs(np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2))[0].numpy().reshape(97, 97)
    row, column = np.unravel_index(np.argmin(scan), scan.shape)
    least = np.sort(grid[[row, column]])  # J is the same for (p_2, p_1)
    print(f"\nFound: J = {found:.4f} at p = ({place[0]:.4f}, {place[1]:.4f}); with actuators at 1/3 and 2/3 it is {costs[0, 0]:.4f}.")
    print(f"Lowest of a scan of {scan.size} designs, 0.01 apart: J = {np.min(scan):.4f} at p = ({least[0]:.2f}, {least[1]:.2f}).")

    before, after = simulated(THIRDS), simulated(place)
    simulation = max(before[2], after[2])
    print(f"The cost of a blow at {BLOW}, simulated, is that by X but for a relative error {simulation:.0e}.")
    if figure:
        draw(path, costs, grid, scan, before, after, figure)
    optimal = found <= np.min(scan) and np.all(np.abs(place - least) <= grid[1] - grid[0])
    return 0 if optimal and error < 1e-6 and simulation < 1e-4 else 1


def draw(path, costs, grid, scan, before, after, file):
    try:
        import matplotlib
    except ImportError:
        print("no figure: matplotlib is not installed (pip install matplotlib)")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    blue, red, yellow = "#2b6cb0", "#c53030", "#ecc94b"
    layout = [["plane", "before", "after"], ["plane", "energy", "energy"]]
    figure, axes = pyplot.subplot_mosaic(layout, figsize=(9, 4.6), width_ratios=(2.2, 1, 1), layout="constrained")

    plane, best = axes["plane"], np.argmin(costs[-1])
    half = np.where(grid[:, None] >= grid, scan, np.nan)  # the other one is the same
    plane.contourf(grid, grid, half, np.geomspace(np.min(scan), 8, 13), cmap="Blues_r", norm="log", extend="max")
    for line in np.moveaxis(path, 1, 0):
        plane.plot(*line.T, color=yellow, linewidth=1.4)
    plane.scatter(*path[0].T, s=28, facecolor="white", edgecolor="black", linewidth=0.8, label="starts", zorder=3)
    plane.scatter(*path[0, 0], s=28, color="black", label=f"evenly spaced: J = {costs[0, 0]:.2f}", zorder=3)
    plane.scatter(*path[-1].T, s=28, color=yellow, edgecolor="black", linewidth=0.8, label="ends", zorder=3)
    plane.scatter(
        *path[-1, best], s=130, facecolor="none", edgecolor=red, linewidth=1.6, label=f"lowest: J = {costs[-1, best]:.2f}", zorder=4
    )
    plane.set(xlabel="place of the first actuator", ylabel="place of the second", aspect="equal", xlim=(0, 1), ylim=(0, 1))
    plane.set_title("Cost of designs (dark: low), and the descent", fontsize=11)
    plane.legend(loc="lower right", frameon=False, fontsize=9)

    size, colors = 0.7 * np.max(np.abs(before[0])), pyplot.get_cmap("RdBu_r", 15)  # few make a small file
    drawn = ("before", "evenly spaced", before, path[0, 0], "black"), ("after", "designed", after, path[-1, best], blue)
    for name, label, (beam, energy, _), p, color in drawn:
        beam = beam[:, TIMES <= 4]
        axes[name].imshow(
            beam, aspect="auto", origin="lower", extent=(0, 4, 0, 1), cmap=colors, vmin=-size, vmax=size, interpolation="nearest"
        )
        axes[name].scatter([0.12, 0.12], p, marker=">", s=28, color="black")
        axes[name].set(xlabel="time")
        axes[name].set_title(f"Blow, {label}", fontsize=11)
        axes["energy"].semilogy(TIMES, energy / energy[0], color=color, linewidth=1.2, label=label)
    axes["before"].set(ylabel="place on the beam")
    axes["after"].set(yticks=[])
    axes["energy"].set(xlabel="time", ylabel="energy after the blow", ylim=(1e-6, 2))
    axes["energy"].legend(loc="center right", frameon=False, fontsize=9)
    for name in ("plane", "energy"):
        axes[name].grid(alpha=0.25)
        axes[name].spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=100, pil_kwargs={"optimize": True})
    print(f"drawn: {file}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--figure", default=str(Path(__file__).with_suffix(".png")), help="'' for none")
    sys.exit(main(parser.parse_args().figure))
