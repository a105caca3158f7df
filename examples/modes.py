"""Modes of measured data by rectangular pencils: dynamic mode decomposition and the matrix-pencil method, with error bars by gradients.

    python examples/modes.py [--figure FILE]

 1. Sensors along a line see a wave, a damped one that runs the other way, and a decay. With the snapshots y_0, ..., y_n as columns,
    A = [y_1 ... y_n] and B = [y_0 ... y_n-1], `tfqz.eigvals(A, B, rank=k)` are the eigenvalues of projected dynamic mode decomposition:
    those of U^H A V / sigma for the k largest singular values sigma of B. P. J. Schmid, Dynamic mode decomposition of numerical and
    experimental data, Journal of Fluid Mechanics 656 (2010) 5-28.
 2. A signal is a sum of damped exponentials, two of them nearer in frequency than 1 / duration. With A and B the Hankel matrix of its
    samples without its first and its last column it is the matrix-pencil method. Y. Hua and T. K. Sarkar, Matrix pencil method for
    estimating parameters of exponentially damped/undamped sinusoids in noise, IEEE Trans. ASSP 38 (1990) 814-824.

Both times log(lambda) / dt are the growth rates and angular frequencies. Their derivatives with respect to the samples turn the samples'
noise into standard errors; those with respect to parameters of the instrument say what its faults do, and are checked against central
differences. The exit status is 1 if a check fails.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import scipy.linalg
import tensorflow as tf

import tfqz

DT = 0.1  # s, from sample to sample
CLOCK = "so much too slow is the clock; without noise df/dclock = f, dd/dclock = d"
TOLERANCE = 1e-6  # of derivatives, relative: central differences are good to 1e-8 or so


class Wave:
    """32 sensors at 0 <= x <= 1, 60 snapshots."""

    title = "1. Dynamic mode decomposition of 32 sensors' snapshots"
    faults = {"clock": CLOCK, "drift": "so fast does sensor 8 gain sensitivity, 1/s"}
    frequencies, dampings = np.array([1.0, -1, 2.4, -2.4, 0]), np.array([0, 0, 0.3, 0.3, 1])
    amplitudes = np.array([0.5, 0.5, 0.5, 0.5, 1])
    noise = 0.02

    def __init__(self, rng):
        x = np.linspace(0, 1, 32)
        waves = [np.exp(2j * np.pi * wavenumber * x) for wavenumber in (-1.5, 1.5, 2, -2)]
        self.shapes = np.stack([*waves, np.exp(-2 * x)], axis=1)
        self.steps = np.arange(60)
        self.disturbance = self.noise * rng.standard_normal((32, 60))

    def measured(self, faults, noise=1):
        """Samples, [sensors, snapshots], by an instrument with `faults`."""
        times = DT * (1 + faults[0]) * self.steps
        field = tf.math.real(exponentials(self.shapes * self.amplitudes, self.frequencies, self.dampings, times))
        gains = 1 + faults[1] * np.eye(32)[7][:, None] * times
        return gains * field + noise * self.disturbance

    @staticmethod
    def pencil(samples):
        return samples[:, 1:], samples[:, :-1]


class Signal:
    """80 complex samples, with as much noise in real and imaginary parts."""

    title = "2. The matrix-pencil method for a signal of three damped exponentials"
    faults = {"clock": CLOCK, "gain": "so much too sensitive is the channel of imaginary parts"}
    frequencies, dampings = np.array([0.8, 0.88, -2.1]), np.array([0.05, 0.1, 0.2])
    amplitudes = np.array([1, 0.8j, 0.6])
    noise = 0.05

    def __init__(self, rng):
        self.steps = np.arange(80)
        self.disturbance = self.noise * (rng.standard_normal(80) + 1j * rng.standard_normal(80))

    def measured(self, faults, noise=1):
        """Samples, [80], by an instrument with `faults`."""
        times = DT * (1 + faults[0]) * self.steps
        signal = exponentials(self.amplitudes[None], self.frequencies, self.dampings, times)[0]
        return tf.complex(tf.math.real(signal), (1 + faults[1]) * tf.math.imag(signal)) + noise * self.disturbance

    @staticmethod
    def pencil(samples):
        hankel = tf.signal.frame(samples, frame_length=len(samples) // 3 + 1, frame_step=1)
        return hankel[:, 1:], hankel[:, :-1]


def exponentials(shapes, frequencies, dampings, times):
    """sum_j shapes[:, j] exp((2 pi i f_j - d_j) t), [len(shapes), len(times)]."""
    angles, decays = (x[:, None] * times for x in (2 * np.pi * frequencies, dampings))
    courses = tf.complex(tf.exp(-decays) * tf.cos(angles), tf.exp(-decays) * tf.sin(angles))
    return tf.matmul(tf.constant(shapes, tf.complex128), courses)


def estimated(problem, samples):
    """Frequencies (Hz) and dampings (1/s) of the samples, [k, 2], by ascending frequency, as somebody finds them who trusts the clock."""
    rates = tf.math.log(tfqz.eigvals(*problem.pencil(samples), rank=len(problem.frequencies))) / DT
    rates = tf.gather(rates, tf.argsort(tf.math.imag(rates)))
    return tf.stack([tf.math.imag(rates) / (2 * np.pi), -tf.math.real(rates)], axis=1)


def reconstructed(problem, samples):
    """What the modes make of the samples, with amplitudes that fit best."""
    s, t, q, _ = (factor.numpy() for factor in tfqz.qz(*problem.pencil(samples), rank=len(problem.frequencies), output="complex"))
    eigenvalues, x = scipy.linalg.eig(s, t)
    # On the range of q, A B^+ is q s t^-1 q^H, with the eigenvectors q t x. Of those of a Hankel matrix the first row is the signal's.
    modes = (q @ t @ x)[: np.size(samples[..., 0])]
    courses = eigenvalues[:, None] ** problem.steps
    fitted = scipy.linalg.khatri_rao(courses.T, modes)
    amplitudes = np.linalg.lstsq(fitted, samples.T.ravel().astype(complex), rcond=None)[0]
    return np.reshape((modes * amplitudes) @ courses, samples.shape)


def jacobian(function, x):
    """The derivative of a real function of a real or complex x, [*shape of the function, *shape of x]."""
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = function(x)
        entries = tf.unstack(tf.reshape(y, [-1]))
    return np.reshape([tape.gradient(entry, x) for entry in entries], (*y.shape, *x.shape))


def central_differences(function, x, h=1e-5):
    return np.stack([(function(x + h * e) - function(x - h * e)).numpy() / (2 * h) for e in np.eye(len(x))], axis=-1)


def study(problem):
    """Prints what is found with an instrument without faults, and its derivatives; returns whether all is right, and what to draw."""
    no_faults = np.zeros(2)
    samples, exact = (problem.measured(no_faults, noise).numpy() for noise in (1, 0))
    found = estimated(problem, samples).numpy()
    true = np.stack([problem.frequencies, problem.dampings], axis=1)[np.argsort(problem.frequencies)]
    rebuilt = reconstructed(problem, samples)
    # Noise of standard deviation sigma in each sample makes one of sigma |gradient|, to first order.
    gradients = jacobian(lambda samples: estimated(problem, samples), samples)
    errors = problem.noise * np.linalg.norm(gradients.reshape(*true.shape, -1), axis=-1)
    deviation = np.max(np.abs(found - true) / np.where(errors > 0, errors, np.inf))

    shown = [i for i in range(len(true)) if true[i, 0] >= 0 or np.iscomplexobj(samples)]  # one of a pair
    m, n = problem.pencil(samples)[0].shape
    print(f"\n{problem.title}\n\n  A and B are {m} x {n}, rank = {len(true)}; noise: standard deviation {problem.noise}\n")
    print(f"  {'frequency (Hz)':<14}{'found':>9}{'std. error':>12}{'damping (1/s)':>19}{'found':>9}{'std. error':>12}")
    for (f, d), (found_f, found_d), (error_f, error_d) in zip(true[shown], found[shown], errors[shown]):
        print(f"  {f:14.2f}{found_f + 0.0:9.4f}{error_f:12.4f}{d:19.2f}{found_d:9.4f}{error_d:12.4f}")
    print(f"\n  Farthest from the truth: {deviation:.1f} standard errors. Root mean square error: {rms(samples - exact):.4f}")
    print(f"  of the samples, {rms(rebuilt - exact):.4f} of what the modes make of them.\n")

    def by_faults(faults):
        return estimated(problem, problem.measured(faults))

    derivatives, differences = jacobian(by_faults, no_faults), central_differences(by_faults, no_faults)
    for name, meaning in problem.faults.items():
        print(f"  {name}: {meaning}")
    names = "".join(f"{f'd{of}/d{name}':>10}" for of in "fd" for name in problem.faults)
    print(f"\n  {'f':>5} {names}, tfqz   {'central differences':>30}")
    for i in shown:
        halves = ("".join(f"{entry:10.4f}" for entry in np.round(x[i].ravel(), 4) + 0.0) for x in (derivatives, differences))
        print(f"  {true[i, 0]:5.2f} " + "   ".join(halves))
    error = np.linalg.norm(derivatives - differences) / np.linalg.norm(differences)
    print(f"  relative error {error:.0e}")
    return error <= TOLERANCE and deviation < 4, (samples, rebuilt, true, found)


def rms(x):
    return np.sqrt(np.mean(np.abs(x) ** 2))


def main(figure):
    rng = np.random.default_rng(1)
    passed, drawn = zip(*(study(problem(rng)) for problem in (Wave, Signal)))
    if figure:
        draw(*drawn, figure)
    return 0 if all(passed) else 1


def draw(wave, signal, file):
    try:
        import matplotlib
    except ImportError:
        print("no figure: matplotlib is not installed (pip install matplotlib)")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    blue, green, red = "#2b6cb0", "#2f855a", "#c53030"
    layout = [["plane", "measured", "rebuilt"], ["plane", "signal", "signal"]]
    figure, axes = pyplot.subplot_mosaic(layout, figsize=(9, 4.6), width_ratios=(2.2, 1, 1), layout="constrained")

    plane = axes["plane"]
    angle = np.linspace(0, 2 * np.pi, 200)
    plane.plot(np.cos(angle), np.sin(angle), color="black", linewidth=0.8, alpha=0.5, zorder=1)
    for (_, _, true, found), color, label in ((wave, blue, "snapshots: DMD"), (signal, green, "signal: matrix pencil")):
        right, got = (np.exp((2j * np.pi * x[:, 0] - x[:, 1]) * DT) for x in (true, found))
        plane.scatter(got.real, got.imag, s=28, color=color, label=label, zorder=3)
        plane.scatter(right.real, right.imag, s=90, facecolor="none", edgecolor=red, linewidth=1.4, zorder=4)
    plane.scatter([], [], s=90, facecolor="none", edgecolor=red, linewidth=1.4, label="true")
    plane.set(xlabel="Re λ", ylabel="Im λ", aspect="equal", xticks=(-1, -0.5, 0, 0.5, 1), yticks=(-1, -0.5, 0, 0.5, 1))
    plane.set_title("Eigenvalues in the unit circle", fontsize=11)
    plane.legend(loc="center", bbox_to_anchor=(0.42, 0.5), frameon=False, fontsize=9)

    colors = pyplot.get_cmap("RdBu_r", 9)  # few make a small file
    duration = DT * wave[0].shape[1]
    for name, field in (("measured", wave[0]), ("rebuilt", wave[1].real)):
        axes[name].imshow(
            field, aspect="auto", origin="lower", extent=(0, duration, 0, 1), cmap=colors, vmin=-2, vmax=2, interpolation="nearest"
        )
        axes[name].set(xlabel="time (s)")
        axes[name].set_title(f"Snapshots, {name}", fontsize=11)
    axes["measured"].set(ylabel="sensors' place")
    axes["rebuilt"].set(yticks=[])
    times = DT * np.arange(signal[0].size)
    axes["signal"].plot(times, signal[1].real, color=green, linewidth=1.2, label="rebuilt")
    axes["signal"].scatter(times, signal[0].real, s=8, color="black", label="measured", zorder=3)
    axes["signal"].set(xlabel="time (s)", ylabel="real part", ylim=(-1.6, 2.6))
    axes["signal"].set_title("Signal", fontsize=11)
    axes["signal"].legend(loc="upper right", ncols=2, frameon=False, fontsize=9)
    for name in ("plane", "signal"):
        axes[name].grid(alpha=0.25)
        axes[name].spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=100, pil_kwargs={"optimize": True})
    print(f"drawn: {file}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--figure", default=str(Path(__file__).with_suffix(".png")), help="'' for none")
    sys.exit(main(parser.parse_args().figure))
