"""A New Keynesian model estimated from data: likelihood, standard errors, posterior and impulse responses by gradients.

    python examples/dsge.py [--figure FILE]

Output gap x, inflation p and interest rate i, in percent a quarter, follow demand, prices that are sticky, and a central bank:

    x = E x(+1) - (i - E p(+1)) / sigma + g          p = beta E p(+1) + kappa x + u          i = phi_p p + phi_x x + m

with the shocks z = rho_z z(-1) + sd_z e, e ~ N(0, 1), for z = g, u, m. (J. Gali, Monetary Policy, Inflation, and the Business Cycle, 2nd
ed. 2015, chapter 3; the truth here is near his calibration.) `tfqz.klein` solves it, y = policy y(-1) + impact e. What is observed are x, p
and i with noise, for 30 years: a Kalman filter, which starts from the covariance that `tfqz.solve_discrete_lyapunov` finds, has the
log-likelihood of the ten parameters. Where inflation moves the interest rate too little the model is indeterminate: `unique` says so, and
the log-likelihood is minus infinity.

L-BFGS finds the most likely parameters, a Hessian by two tapes their standard errors, a forward accumulator those of the impulse responses.
If TensorFlow Probability is installed, Hamiltonian Monte Carlo samples the posterior, all chains as one batch. A closed form that knows
neither QZ nor a filter checks the log-likelihood and its gradient, the truth the estimates. The exit status is 1 if a check fails.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import scipy.optimize
import scipy.stats
import tensorflow as tf

import tfqz

BETA, NOISE, QUARTERS, HORIZON = 0.99, np.array([0.2, 0.1, 0.05]), 120, 13
NAMES = ["sigma", "kappa", "phi_p", "phi_x", "rho_g", "rho_u", "rho_m", "sd_g", "sd_u", "sd_m"]
TRUTH = np.array([1, 0.17, 1.5, 0.125, 0.8, 0.5, 0.5, 0.3, 0.2, 0.25])
GUESS = np.array([2, 0.3, 1.8, 0.3, 0.6, 0.6, 0.6, 0.5, 0.5, 0.5])
SHARES = np.array([name.startswith("rho") for name in NAMES])  # in (0, 1); all others are positive


def unconstrained(parameters):
    return np.log(parameters / np.where(SHARES, 1 - parameters, 1))


def constrained(theta):
    """The parameters, [..., 10], for any numbers."""
    return tf.where(SHARES, tf.sigmoid(theta), tf.exp(theta))


def equations(parameters):
    """Of x, p and i: the coefficients of now and of the next quarter, [..., 3, 3]."""
    sigma, kappa, phi_p, phi_x = tf.unstack(parameters[..., :4], axis=-1)
    one, o = tf.ones_like(sigma), tf.zeros_like(sigma)
    now = [-one, o, -1 / sigma], [kappa, -one, o], [phi_x, phi_p, -one]
    ahead = [one, 1 / sigma, o], [o, BETA * one, o], [o, o, o]
    return (tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2) for rows in (now, ahead))


def solution(theta):
    """Policy, [..., 6, 6], and impact, [..., 6, 3], for y = (x, p, i, g, u, m), both 0 where there isn't one solution; where there is."""
    parameters = constrained(theta)
    now, ahead = equations(parameters)
    zero, one = tf.zeros_like(now), tf.eye(3, dtype=now.dtype) + tf.zeros_like(now)
    block = lambda *rows: tf.concat([tf.concat(row, axis=-1) for row in rows], axis=-2)
    a = block([zero, zero], [zero, tf.linalg.diag(parameters[..., 4:7])])
    d = block([zero], [tf.linalg.diag(parameters[..., 7:])])
    policy, impact, unique = tfqz.klein(a, block([now, one], [zero, -one]), block([ahead, zero], [zero, zero]), d, on_failure="nan")
    good = tf.equal(unique, 0)
    return *(tf.where(good[..., None, None], x, tf.zeros_like(x)) for x in (policy, impact)), good


def log_likelihood(theta, data):
    """[...], by the Kalman filter, of data [quarters, 3]; minus infinity, with gradient 0, where there isn't one solution."""
    policy, impact, good = solution(theta)
    news = tf.matmul(impact, impact, transpose_b=True)
    covariance = tfqz.solve_discrete_lyapunov(policy, news)
    mean, value = tf.zeros_like(impact[..., :1]), tf.zeros_like(theta[..., 0])
    for t in tf.range(QUARTERS):
        root = tf.linalg.cholesky(covariance[..., :3, :3] + np.diag(NOISE**2))
        surprise = tf.linalg.triangular_solve(root, data[t][:, None] - mean[..., :3, :])
        gain = tf.linalg.triangular_solve(root, covariance[..., :3, :])  # transposed, over the surprise's deviation
        value -= tf.reduce_sum(surprise**2, axis=[-2, -1]) / 2 + tf.reduce_sum(tf.math.log(tf.linalg.diag_part(root)), axis=-1)
        mean = policy @ (mean + tf.matmul(gain, surprise, transpose_a=True))
        covariance -= tf.matmul(gain, gain, transpose_a=True)
        covariance = tf.matmul(policy @ covariance, policy, transpose_b=True) + news
    value -= 3 * QUARTERS / 2 * np.log(2 * np.pi)
    return tf.where(good, value, tf.constant(-np.inf, value.dtype))


@tf.function(input_signature=[tf.TensorSpec([None, 10], tf.float64), tf.TensorSpec([QUARTERS, 3], tf.float64)])
def value_and_gradient(theta, data):
    """[n] and [n, 10]."""
    with tf.GradientTape() as tape:
        tape.watch(theta)
        value = log_likelihood(theta, data)
    return value, tape.gradient(value, theta)


@tf.function
def hessian(theta, data):
    """[10, 10]: derivatives of the gradient in ten directions, each in an element of a batch, [10, 10], of the same parameters."""
    with tf.GradientTape() as tape:
        tape.watch(theta)
        slopes = tf.linalg.diag_part(value_and_gradient(theta, data)[1])
    return tape.gradient(slopes, theta)


def closed_form(theta, data):
    """The log-likelihood by the normal distribution that all observations have together, with responses by undetermined coefficients."""
    parameters = constrained(theta).numpy()
    now, ahead = (x.numpy() for x in equations(tf.constant(parameters)))
    rho, deviation = parameters[4:7], parameters[7:]
    response = np.stack([np.linalg.solve(now + rho[j] * ahead, -np.eye(3)[j]) for j in range(3)], axis=1) * deviation
    apart = np.abs(np.subtract.outer(np.arange(QUARTERS), np.arange(QUARTERS)))
    covariance = np.einsum("ij,tsj,kj->tisk", response, rho ** apart[..., None] / (1 - rho**2), response)
    covariance = covariance.reshape(3 * QUARTERS, -1) + np.diag(np.tile(NOISE**2, QUARTERS))
    return scipy.stats.multivariate_normal.logpdf(data.ravel(), cov=covariance)


def simulated(rng):
    """Data, [QUARTERS, 3], of a model with the true parameters after a century."""
    policy, impact, _ = (x.numpy() for x in solution(tf.constant(unconstrained(TRUTH))))
    y, data = np.zeros(6), []
    for _ in range(400 + QUARTERS):
        y = policy @ y + impact @ rng.standard_normal(3)
        data.append(y[:3] + NOISE * rng.standard_normal(3))
    return np.array(data[400:])


def responses(theta):
    """[..., HORIZON, 3, 3]: of x, p and i to shocks to g, u and m of one standard deviation."""
    policy, y, _ = solution(theta)
    path = [y]
    for _ in range(HORIZON - 1):
        path.append(policy @ path[-1])
    return tf.stack(path, axis=-3)[..., :3, :]


def most_likely(guess, data):
    """The way of L-BFGS from `guess`, [iterations + 1, 10]."""
    bar, path = keras.utils.Progbar(None, stateful_metrics=["log-likelihood"], unit_name="iteration"), [guess]

    def negative(theta):
        value, gradient = value_and_gradient(theta[None], data)
        return -value[0].numpy(), -gradient[0].numpy()

    def progress(intermediate_result):
        path.append(np.copy(intermediate_result.x))
        bar.add(1, [("log-likelihood", -intermediate_result.fun)])

    scipy.optimize.minimize(negative, guess, jac=True, method="L-BFGS-B", callback=progress, options={"ftol": 1e-12, "gtol": 1e-4})
    print()
    return np.array(path)


def posterior(estimate, covariance, data, chains=32, steps=40):
    """Draws, [steps, chains, 10], by Hamiltonian Monte Carlo in coordinates in which the posterior is nearly round; the largest R-hat. The
    prior of logarithms and log-odds is normal, around the first guess, with standard deviation 1. None where nothing can sample."""
    try:
        import tensorflow_probability as tfp
    except ImportError:
        print("posterior: skipped, tensorflow-probability is not installed")
        return None
    prior = unconstrained(GUESS)
    root = np.linalg.cholesky(np.linalg.inv(np.linalg.inv(covariance) + np.eye(10)))
    of = lambda w: estimate + tf.linalg.matvec(root, w)

    @tf.custom_gradient  # so that the trace that is there serves once more
    def density(w):
        value, gradient = value_and_gradient(of(w), data)
        apart = of(w) - prior
        gradient = tf.linalg.matvec(root, gradient - apart, transpose_a=True)
        return value - tf.reduce_sum(apart**2, axis=-1) / 2, lambda upstream: upstream[:, None] * gradient

    kernel = tfp.mcmc.HamiltonianMonteCarlo(density, step_size=np.float64(0.45), num_leapfrog_steps=4)
    start = np.random.default_rng(1).standard_normal((chains, 10))
    trace = lambda _, results: results.is_accepted
    sample = tf.function(lambda: tfp.mcmc.sample_chain(steps, start, kernel=kernel, num_burnin_steps=10, trace_fn=trace, seed=1))
    draws, accepted = sample()
    spread = np.max(tfp.mcmc.potential_scale_reduction(draws))
    print(f"posterior: {steps} steps of {chains} chains, {np.mean(accepted):.0%} of proposals accepted, R-hat at most {spread:.2f}")
    return of(draws).numpy(), spread


def main(figure):
    data = tf.constant(simulated(np.random.default_rng(0)))
    guess = unconstrained(GUESS)
    value, gradient = (x[0].numpy() for x in value_and_gradient(guess[None], data))
    known = lambda theta: closed_form(theta, data.numpy())
    oracle = np.array([known(guess + h) - known(guess - h) for h in 1e-5 * np.eye(10)]) / 2e-5
    errors = [abs(value / known(guess) - 1), np.linalg.norm(gradient - oracle) / np.linalg.norm(oracle)]
    print(
        f"Log-likelihood of the guess {value:.3f}, relative error {errors[0]:.0e}; of its gradient {errors[1]:.0e}, by central differences."
    )
    passive = np.where(np.array(NAMES) == "phi_p", np.log(0.8), guess)  # inflation moves the interest rate by too little
    nowhere, flat = (x[0].numpy() for x in value_and_gradient(passive[None], data))
    print(f"With phi_p = 0.8 the model is indeterminate: log-likelihood {nowhere}, gradient {'0' if not flat.any() else flat}.")

    path = most_likely(guess, data)
    theta = path[-1]
    covariance = np.linalg.inv(-hessian(np.tile(theta, (10, 1)), data).numpy())
    deviations = np.sqrt(np.diag(covariance))
    off = (theta - unconstrained(TRUTH)) / deviations
    draws, spread = posterior(theta, covariance, data) or (None, 1.0)
    columns = {"truth": TRUTH, "estimate": constrained(theta), "se*": deviations, "off, in se": off}
    if draws is not None:
        columns |= {"posterior": np.mean(constrained(draws), axis=(0, 1)), "sd*": np.std(draws, axis=(0, 1))}
    print("".join(f"{name:>11}" for name in ["", *columns]))
    for name, *row in zip(NAMES, *columns.values()):
        print(f"{name:>11}" + "".join(f"{x:11.3f}" for x in row))
    print("* of logarithms, and log-odds of rho")

    if figure:
        draw(data, path, covariance, draws, figure)
    passed = errors[0] < 1e-10 and errors[1] < 1e-7 and nowhere == -np.inf and not flat.any() and np.max(np.abs(off)) < 4 and spread < 1.2
    return 0 if passed else 1


def draw(data, path, covariance, draws, file):
    try:
        import matplotlib
    except ImportError:
        print("no figure: matplotlib is not installed (pip install matplotlib)")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    blue, red, yellow = "#2b6cb0", "#c53030", "#ecc94b"
    layout = [["plane", *(f"{y}{z}" for z in "gum")] for y in "xpi"]
    figure, axes = pyplot.subplot_mosaic(layout, figsize=(9, 4.6), width_ratios=(2.6, 1, 1, 1), layout="constrained")

    plane, theta = axes["plane"], path[-1]
    rule = np.meshgrid(np.linspace(0.7, 2.4, 86), np.linspace(0, 0.6, 21) + 1e-9)
    scan = np.tile(theta, (*rule[0].shape, 1))
    scan[..., 2:4] = np.log(np.stack(rule, axis=-1))
    below = log_likelihood(theta, data) - log_likelihood(scan, data).numpy()
    plane.set_facecolor("#e2e8f0")
    levels = [0, *2 ** np.arange(10)]
    plane.contourf(*rule, np.where(np.isfinite(below), below, np.nan), levels, cmap="Blues_r", norm="symlog", extend="max")
    if draws is not None:
        plane.scatter(*np.exp(draws[::4, :, 2:4].reshape(-1, 2).T), s=4, color=yellow, linewidth=0, label="posterior")
    plane.plot(*np.exp(path[:, 2:4].T), color="black", linewidth=1, marker=".", markersize=4, label="L-BFGS")
    plane.scatter(*GUESS[2:4], s=28, facecolor="white", edgecolor="black", linewidth=0.8, label="guess", zorder=3)
    plane.scatter(*np.exp(theta[2:4]), s=40, color=blue, edgecolor="white", label="estimate", zorder=3)
    plane.scatter(*TRUTH[2:4], s=90, facecolor="none", edgecolor=red, linewidth=1.4, label="truth", zorder=4)
    plane.text(0.84, 0.3, "indeterminate", rotation=90, ha="center", va="center")
    plane.set(xlabel="$\\phi_p$: interest rate by inflation", ylabel="$\\phi_x$: by output gap", xlim=(0.7, 2.4), ylim=(0, 0.6))
    plane.set_title("Log-likelihood of policy rules", fontsize=11)
    plane.legend(loc="upper right", frameon=False, fontsize=9)

    batch = tf.constant(np.tile(theta, (10, 1)))
    with tf.autodiff.ForwardAccumulator(batch, tf.eye(10, dtype=batch.dtype)) as accumulator:
        found = responses(batch)
    slopes, found = accumulator.jvp(found).numpy(), found[0].numpy()
    bands = 2 * np.sqrt(np.einsum("itjk,il,ltjk->tjk", slopes, covariance, slopes))
    true = responses(tf.constant(unconstrained(TRUTH))).numpy()
    quarters = np.arange(HORIZON)
    for i, (y, variable) in enumerate(zip("xpi", ("output gap", "inflation", "interest"))):
        for j, (z, shock) in enumerate(zip("gum", ("demand", "cost", "policy"))):
            cell = axes[y + z]
            low, high = (found[:, i, j] + sign * bands[:, i, j] for sign in (-1, 1))
            cell.fill_between(quarters, low, high, color=blue, alpha=0.25, linewidth=0)
            cell.plot(quarters, found[:, i, j], color=blue, linewidth=1.4, label="estimate")
            cell.plot(quarters, true[:, i, j], color=red, linewidth=1.2, linestyle="--", label="truth")
            cell.set(ylim=(-0.5, 0.6), xticks=(0, 4, 8, 12), yticks=(-0.5, 0, 0.5))
            cell.tick_params(labelbottom=i == 2, labelleft=j == 0, labelsize=8)
            if i == 0:
                cell.set_title(f"{shock} shock", fontsize=10)
            if j == 0:
                cell.set_ylabel(variable, fontsize=9)
    axes["iu"].set_xlabel("quarters", fontsize=9)
    axes["pm"].legend(loc="upper right", frameon=False, fontsize=8)
    for axis in axes.values():
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=100, pil_kwargs={"optimize": True})
    print(f"drawn: {file}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--figure", default=str(Path(__file__).with_suffix(".png")), help="'' for none")
    sys.exit(main(parser.parse_args().figure))
