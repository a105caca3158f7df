"""Published rational expectations models, a y(-1) + b y + c E y(+1) + d e = 0, of their parameters; and a solver that knows no QZ."""

import numpy as np
import tensorflow as tf

HANSEN = np.array([0.99, 0.025, 0.36, 0.95])
KEYNES = np.array([0.99, 0.17, 1.5, 1.5, 0.5, 0.8])


def coefficients(variables, equations, shocks):
    """a, b, c, d from equations, dicts of (variable, lag) -> number or tensor; a shock's key is its name alone."""
    place = {name: j for j, name in enumerate(variables)}
    of_shock = {name: j for j, name in enumerate(shocks)}
    entries = {"a": [], "b": [], "c": [], "d": []}
    for row, equation in enumerate(equations):
        for key, value in equation.items():
            if key in of_shock:
                entries["d"].append((row, of_shock[key], value))
            else:
                entries["bca"[key[1]]].append((row, place[key[0]], value))
    n = len(variables)
    matrices = []
    for name, entry in entries.items():
        places = [(i, j) for i, j, _ in entry]
        values = [tf.cast(value, tf.float64) for _, _, value in entry]
        matrices.append(tf.scatter_nd(places, tf.stack(values), [n, len(shocks) if name == "d" else n]))
    return matrices


def hansen(parameters):
    """G. D. Hansen, Indivisible labor and the business cycle, J. Monet. Econ. 16 (1985) 309-327.
    Capital k is that at the end of a quarter."""
    beta, delta, alpha, rho = tf.unstack(parameters)
    e = 1 - beta * (1 - delta)
    y_k = e / (alpha * beta)
    equations = [
        {("c", 0): 1, ("c", 1): -1, ("r", 1): 1},
        {("y", 0): 1, ("h", 0): -1, ("c", 0): -1},
        {("y", 0): -1, ("z", 0): 1, ("k", -1): alpha, ("h", 0): 1 - alpha},
        {("y", 0): -y_k, ("c", 0): y_k - delta, ("i", 0): delta},
        {("r", 0): -1, ("y", 0): e, ("k", -1): -e},
        {("k", 0): -1, ("k", -1): 1 - delta, ("i", 0): delta},
        {("z", 0): -1, ("z", -1): rho, "e": 1},
    ]
    return coefficients("kzchyir", equations, ["e"])


def hansens_solution(parameters):
    """Of k, z, c, h: policy, [4, 2], for k(-1) and z(-1), and impact, [4], by undetermined coefficients."""
    beta, delta, alpha, rho = tf.unstack(parameters)
    e = 1 - beta * (1 - delta)
    y_k = e / (alpha * beta)
    stable, unstable = 1 / (1 + e * (1 - alpha) / alpha), y_k + 1 - delta
    m = y_k - delta + y_k * (1 - alpha) / alpha
    c_k = (unstable - stable) / m
    c_z = (c_k * y_k - stable * e * rho) / (alpha * (unstable - rho))
    zero, one = 0 * rho, 1 + 0 * rho
    impact = tf.stack([y_k / alpha - m * c_z, one, c_z, (1 - c_z) / alpha])
    return tf.stack([tf.stack([stable, zero, c_k, 1 - c_k / alpha]), rho * impact], axis=1), impact


def keynes(parameters):
    """Three equations, with a demand shock: J. Gali, Monetary Policy, Inflation, and the Business Cycle, 2nd ed. 2015, ch. 3."""
    beta, kappa, sigma, phi_p, phi_x, rho = tf.unstack(parameters)
    equations = [
        {("x", 0): -1, ("x", 1): 1, ("i", 0): -1 / sigma, ("p", 1): 1 / sigma, ("g", 0): 1},
        {("p", 0): -1, ("p", 1): beta, ("x", 0): kappa},
        {("i", 0): -1, ("p", 0): phi_p, ("x", 0): phi_x},
        {("g", 0): -1, ("g", -1): rho, "e": 1},
    ]
    return coefficients("xpig", equations, ["e"])


def keynes_solution(parameters):
    """Of all variables, to the shock: [4]."""
    beta, kappa, sigma, phi_p, phi_x, rho = tf.unstack(parameters)
    x = 1 / (1 - rho + phi_x / sigma + (phi_p - rho) * kappa / (sigma * (1 - beta * rho)))
    p = kappa * x / (1 - beta * rho)
    return tf.stack([x, p, phi_p * p + phi_x * x, 1 + 0 * x])


def sectors(parameters, count=8):
    """Sectors with prices of different stickiness: C. Carvalho, Heterogeneity in price stickiness and the real effects of monetary shocks,
    Front. Macroecon. 2 (2006). Nothing but the past determines the average of relative prices p: a unit root, which is stable."""
    beta, sigma, eta, phi, phi_p, phi_c, rho_i, rho = tf.unstack(parameters)
    variables, shocks = ["c", "i", "w", "q"], ["m"]
    weight = 1 / count
    equations = [
        {("c", 0): -1, ("c", 1): 1, ("i", 0): -1 / sigma, ("q", 1): 1 / sigma},
        {("i", 0): -1, ("i", -1): rho_i, ("q", 0): (1 - rho_i) * phi_p, ("c", 0): (1 - rho_i) * phi_c, "m": 1},
        {("w", 0): -1, ("c", 0): sigma},
        {("q", 0): -1},
    ]
    for j in range(count):
        kept = 0.3 + 0.6 * j / (count - 1)  # prices that stay in a quarter
        kappa = (1 - kept) * (1 - beta * kept) / kept
        y, mc, z, p, q = (f"{name}{j}" for name in ("y", "mc", "z", "p", "q"))
        variables += [y, mc, z, p, q]
        shocks.append(f"e{j}")
        equations[2] |= {(y, 0): phi * weight, (z, 0): -phi * weight}
        equations[3][q, 0] = weight
        equations += [
            {(q, 0): -1, (q, 1): beta, (mc, 0): kappa, (p, 0): -kappa},
            {(p, 0): -1, (p, -1): 1, (q, 0): 1, ("q", 0): -1},
            {(y, 0): -1, ("c", 0): 1, (p, 0): -eta},
            {(mc, 0): -1, ("w", 0): 1, (z, 0): -1},
            {(z, 0): -1, (z, -1): rho - 0.02 * j, f"e{j}": 1},
        ]
    return coefficients(variables, equations, shocks)


SECTORS = np.array([0.99, 2.0, 4.0, 1.0, 1.5, 0.2, 0.7, 0.9])


def with_solution(rng, T, N, M):
    """a, b, c with the policy T: a + b z + c z^2 = -(M + c z) (T - z) with c = M N.
    The reciprocals of -N's eigenvalues are the unstable ones."""
    return -M @ T, M - M @ N @ T, M @ N


def by_doubling(a, b, c, d):
    """policy and impact by cyclic reduction: D. A. Bini, G. Latouche and B. Meini, Numerical Methods for Structured Markov Chains, 2005."""
    low, middle, high, first = a, b, c, b
    for _ in range(60):
        left, right = np.linalg.solve(middle, low), np.linalg.solve(middle, high)
        first = first - high @ left
        low, middle, high = -low @ left, middle - low @ right - high @ left, -high @ right
        if max(np.abs(low).max(), 1e-8 * np.abs(high).max()) < 1e-30 or not np.abs(high @ left).max() > 0:
            break
    T = -np.linalg.solve(first, a)
    return T, -np.linalg.solve(b + c @ T, d)
