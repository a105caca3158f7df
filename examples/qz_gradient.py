"""Gradients of the QZ decomposition A = Q S Z^T, B = Q T Z^T: four examples, each checked against central differences.

 1. f(A, B), the sum of all entries of all four factors: the function of the question `Gradient of QZ decomposition` on
    Mathematics Stack Exchange, with the identity from the partial answer given there.
 2. The same f where A and B are rank-deficient: a zero and an infinite eigenvalue.
 3. The same f where A and B are m x n of ranks k1 and k2, as the question has them.
 4. The decision rules of a real business cycle model, differentiated with respect to the model's parameters through steady
    state, linearisation and QZ. Model and calibration: G. D. Hansen, Indivisible labor and the business cycle, Journal of
    Monetary Economics 16 (1985) 309-327. Solution from the stable part of a pencil with singular B: P. Klein, Using the
    generalized Schur form to solve a multivariate linear rational expectations model, Journal of Economic Dynamics and
    Control 24 (2000) 1405-1423.

The exit status is 1 if a check fails.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no remarks on devices between the results

import numpy as np
import tensorflow as tf

import tfqz

# Relative. In double precision central differences of these functions are good to 1e-8 or better.
TOLERANCE = 1e-6


def f(a, b):
    return tf.add_n([tf.reduce_sum(factor) for factor in tfqz.qz(a, b)])


def sum_of_entries():
    print("1. f(A, B) = the sum of all entries of S, T, Q and Z")
    A, B = np.random.default_rng(14).standard_normal((2, 4, 4))
    print(f"\n  A and B are random. Eigenvalues: {listed(eigenvalues(A, B))}\n")
    dA, dB = gradients(f, A, B)
    passed = [
        compare("df/dA", dA, central_differences(lambda x: f(x, B), A)),
        compare("df/dB", dB, central_differences(lambda x: f(A, x), B)),
        partial_answer(A, B, dA),
    ]
    print("  All four factors are differentiated together, the 2 x 2 block of the complex pair included.")
    return all(passed)


def rank_deficient():
    print("\n2. The same f of rank-deficient A and B")
    rng = np.random.default_rng(10)
    A, dense_B = (rng.standard_normal((4, 3)) @ rng.standard_normal((3, 4)) for _ in range(2))
    B = np.hstack([np.zeros((4, 1)), rng.standard_normal((4, 3))])
    print(f"\n  A and B have rank 3; column 1 of B is zero. Eigenvalues: {listed(eigenvalues(A, B))}\n")
    dA, dB = gradients(f, A, B)

    def f_of_columns(x):
        """f with B's rank kept: one t_jj remains exactly 0."""
        return f(A, tf.concat([B[:, :1], x], axis=1))

    passed = [
        compare("df/dA", dA, central_differences(lambda x: f(x, B), A)),
        compare("df/dB, columns 2-4", dB[:, 1:], central_differences(f_of_columns, B[:, 1:])),
        partial_answer(A, B, dA),
    ]
    print("  Nothing is divided by S or T. In directions that raise B's rank f has no derivative: t_jj passes through 0,")
    print("  t_jj >= 0 turns the sign of a column of Q, and QZ may find the eigenvalues in another order. What sees")
    print("  neither has a derivative in all directions, such as 1/lambda = t_jj / s_jj of the infinite eigenvalue:")
    _, dB = gradients(smallest_reciprocal, A, dense_B)
    differences = central_differences(lambda x: smallest_reciprocal(A, x), dense_B)
    passed.append(agree("d(1/lambda)/dB, for a B of rank 3 without zeros", dB, differences))
    return all(passed)


def smallest_reciprocal(a, b):
    """1 / lambda of the eigenvalue that is infinite, or nearly so."""
    s, t, _, _ = tfqz.qz(a, b)
    s, t = tf.linalg.diag_part(s), tf.linalg.diag_part(t)
    j = tf.argmin(t)
    return t[j] / s[j]


def partial_answer(A, B, dA):
    """Along B - A only S moves, towards T: <df/dA, B - A> is the sum of the entries of T - S."""
    S, T, _, _ = (factor.numpy() for factor in tfqz.qz(A, B))
    slope = np.sum(dA * (B - A))
    return agree(f"<df/dA, B - A> = {slope:.4f} and sum(T - S)", slope, np.sum(T - S))


def rectangular():
    print("\n3. The same f of m x n matrices A and B of ranks k1 and k2")
    print("\n  m < n: S = [S1 S2], T = [T1 0]; m > n: S = [S2; S1], T = [0; T1]; S1 and T1 are square and upper triangular.")
    print("  Changes of V, W, X and Y are changes of A = V W and B = X Y in all directions that keep the ranks.")
    rng = np.random.default_rng(1)
    passed = [of_ranks(rng, m, n, k1, k2) for m, n in ((3, 5), (5, 3)) for k1, k2 in ((3, 3), (2, 3), (3, 2), (2, 2))]
    print("  Each rank below p = min(m, n) by 1 makes an eigenvalue 0 or infinite. A may change in any direction. In directions that raise")
    print("  B's rank f has no derivative: the finite eigenvalues jump, too, as B's pseudoinverse does. Where a rank is p - 2 or less an")
    print("  eigenvalue is multiple, and f depends on which of the bases that are equally good QZ finds.")
    return all(passed)


def of_ranks(rng, m, n, k1, k2):
    V, W, X, Y = (rng.standard_normal(shape) for shape in ((m, k1), (k1, n), (m, k2), (k2, n)))
    A, B = V @ W, X @ Y
    print(f"\n  {m} x {n}, k1 = {k1}, k2 = {k2}. Eigenvalues: {listed(eigenvalues(A, B))}")
    found = gradients(f_of_products, V, W, X, Y)
    differences = [
        central_differences(lambda V: f_of_products(V, W, X, Y), V),
        central_differences(lambda W: f_of_products(V, W, X, Y), W),
        central_differences(lambda X: f_of_products(V, W, X, Y), X),
        central_differences(lambda Y: f_of_products(V, W, X, Y), Y),
    ]
    dA, dB = gradients(f, A, B)
    passed = [
        agree("df/dV, df/dW, df/dX, df/dY and central differences", *(np.concatenate(x, axis=None) for x in (found, differences))),
        partial_answer(A, B, dA),
    ]
    if k1 == k2 == 2:
        passed += [
            compare("df/dA", dA, central_differences(lambda A: f(A, B), A)),
            compare("df/dY = X^T df/dB", X.T @ dB, differences[3]),
        ]
    return all(passed)


def f_of_products(V, W, X, Y):
    return f(tf.matmul(V, W), tf.matmul(X, Y))


PARAMETERS = "beta", "delta", "alpha", "rho"
CALIBRATION = np.array([0.99, 0.025, 0.36, 0.95])  # quarterly
STATES = 2  # the first variables, capital k and technology z, are given at the beginning of a quarter
RULES = [f"{response} to {state}" for response in ("next capital", "consumption", "hours") for state in "kz"]


def business_cycle_model():
    print("\n4. Hansen's real business cycle model: derivatives of its decision rules")
    lambdas = eigenvalues(*linearised_model(CALIBRATION))
    finite, infinite = lambdas[np.isfinite(lambdas)], lambdas[np.isinf(lambdas)]
    stable, unstable = finite[abs(finite) < 1], finite[abs(finite) > 1]
    print("\n  B E_t x' = A x, x: logs of capital k, technology z, consumption, hours, output, investment, return")
    print(f"  Eigenvalues: {listed(stable)} stable, {listed(unstable)} unstable, {len(infinite)} infinite (static rows).")
    print(f"  {len(stable)} stable ones for {STATES} states, k and z: there is one stable solution (Blanchard and Kahn).\n")

    rules, derivatives = decision_rules(CALIBRATION).numpy(), jacobian(decision_rules, CALIBRATION).numpy()
    print(f"  {'elasticity of':<22}{'value':>9}" + "".join(f"{'d/d' + name:>10}" for name in PARAMETERS))
    for name, rule, row in zip(RULES, rules, np.round(derivatives, 4) + 0.0):  # no -0
        print(f"  {name:<22}{rule:9.4f}" + "".join(f"{entry:10.4f}" for entry in row))
    print()
    passed = [
        agree("derivatives and central differences", derivatives, central_differences(decision_rules, CALIBRATION)),
        agree("decision rules and their closed form", rules, closed_form(CALIBRATION)),
        agree("derivatives and those of the closed form", derivatives, jacobian(closed_form, CALIBRATION)),
    ]
    hours = RULES.index("hours to z")
    rise, slope = rules[hours], derivatives[hours, PARAMETERS.index("rho")]
    raised = rise + 0.01 * slope
    print("  The infinite eigenvalues coincide. The rules have derivatives because they don't depend on their order.")
    print(f"  Technology 1% above normal raises hours by {rise:.2f}%. With rho + 0.01 it is {raised:.2f}% to first order:")
    print("  the longer it lasts the richer it makes households, who consume more and work less.")
    return all(passed)


def equilibrium(now, then, disutility, parameters):
    """The residuals of the model's equations for the logs of the variables in one quarter and the next."""
    beta, delta, alpha, rho = tf.unstack(parameters)
    k, z, c, h, y, i, r = tf.unstack(tf.exp(now))
    next_k, next_z, next_c, _, _, _, next_r = tf.unstack(tf.exp(then))
    return tf.stack(
        [
            beta * next_r * c / next_c - 1,  # Euler equation
            (1 - alpha) * y / h - disutility * c,  # labour supply: indivisible labour makes utility linear in hours
            z * k**alpha * h ** (1 - alpha) - y,  # production
            c + i - y,  # resource constraint
            alpha * y / k + 1 - delta - r,  # gross return on capital
            (1 - delta) * k + i - next_k,  # capital accumulation
            rho * tf.math.log(z) - tf.math.log(next_z),  # technology
        ]
    )


def steady_state(parameters):
    """The logs of the variables, and the disutility of hours that makes hours 1/3."""
    beta, delta, alpha, _ = tf.unstack(parameters)
    h, z, r = 1 / 3, 1.0, 1 / beta
    k = h * (alpha / (r - 1 + delta)) ** (1 / (1 - alpha))
    y = k**alpha * h ** (1 - alpha)
    i = delta * k
    c = y - i
    return tf.math.log(tf.stack([k, z, c, h, y, i, r])), (1 - alpha) * y / (h * c)


def linearised_model(parameters):
    """A, B of B E_t x' = A x for log deviations x from the steady state. Static equations are zero rows of B."""
    x, disutility = steady_state(parameters)
    A = -jacobian(lambda now: equilibrium(now, x, disutility, parameters), x)
    B = jacobian(lambda then: equilibrium(x, then, disutility, parameters), x)
    return A, B


def stable_solution(A, B, states):
    """G, H of the stable solution x = G k, k' = H k of B E_t x' = A x, where k is the first `states` variables of x.

    X and Y span the right and the left deflating subspace of the stable eigenvalues: A X and B X lie in the span of Y, so x = X w with
    w' = W w, Y^T B X W = Y^T A X. Their derivative needs the stable eigenvalues to differ from the others, of which many may be infinite,
    and nothing else. More or fewer than `states` stable eigenvalues are an error.
    """
    stable = tfqz.deflating_subspace(A, B, "iuc", dimension=states)
    X, Y_T = stable.right, tf.transpose(stable.left)
    W = tf.linalg.solve(Y_T @ B @ X, Y_T @ A @ X)
    K = X[:states]
    return X @ tf.linalg.inv(K), K @ W @ tf.linalg.inv(K)


def decision_rules(parameters):
    """The coefficients that RULES names."""
    G, H = stable_solution(*linearised_model(parameters), STATES)
    return tf.concat([H[0], G[2], G[3]], axis=0)


def closed_form(parameters):
    """The same coefficients by the method of undetermined coefficients.

    Without hours, output, investment and return, with e = 1 - beta (1 - delta) and y/k = e / (alpha beta), the model is

        c' = stable (c + e rho z / alpha)            stable = 1 / (1 + e (1 - alpha) / alpha)
        k' = unstable k + (y/k) z / alpha - m c      unstable = y/k + 1 - delta,  m = y/k - delta + (y/k) (1 - alpha) / alpha

    and c = c_k k + c_z z must satisfy both. Hours are h = k + (z - c) / alpha.
    """
    beta, delta, alpha, rho = tf.unstack(parameters)
    e = 1 - beta * (1 - delta)
    y_k = e / (alpha * beta)
    stable, unstable = 1 / (1 + e * (1 - alpha) / alpha), y_k + 1 - delta
    m = y_k - delta + y_k * (1 - alpha) / alpha
    c_k = (unstable - stable) / m
    c_z = (c_k * y_k - stable * e * rho) / (alpha * (unstable - rho))
    return tf.stack([stable, y_k / alpha - m * c_z, c_k, c_z, 1 - c_k / alpha, (1 - c_z) / alpha])


def gradients(function, *arguments):
    arguments = [tf.constant(x) for x in arguments]
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        value = function(*arguments)
    return [gradient.numpy() for gradient in tape.gradient(value, arguments)]


def jacobian(function, x):
    """The derivative of a vector function of a vector, itself differentiable."""
    x = tf.identity(x)  # a tensor of its own: `function` may use the one that came in as a constant
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = function(x)
    # Row by row: to vectorise so small a problem takes longer than to solve it.
    return tape.jacobian(y, x, experimental_use_pfor=False)


def central_differences(function, x):
    """The derivative of a function of any shape, [*shape of the function, *shape of x]."""
    columns = []
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = np.finfo(x.dtype).eps ** (1 / 3) * max(abs(x[index]), 0.1)
        ahead, behind = x + step, x - step
        columns.append((function(ahead) - function(behind)).numpy() / (ahead - behind)[index])
    return np.stack(columns, axis=-1).reshape(columns[0].shape + x.shape)


def eigenvalues(a, b):
    """The generalized eigenvalues of a - lambda b by modulus, rounded to 4 digits after the point."""
    alpha, beta = tfqz.eigvals(a, b, homogeneous_eigvals=True).numpy()
    infinite = beta.real <= 1e-12 * np.linalg.norm(b)
    finite = np.round(alpha[~infinite] / beta[~infinite], 4) + 0.0  # no -0
    return np.append(sorted(finite, key=lambda value: (abs(value), value.imag)), np.full(infinite.sum(), np.inf))


def listed(values):
    return ", ".join(f"{value.real:.4g}" if value.imag == 0 else f"{value:.4g}" for value in values)


def compare(name, gradient, differences):
    """Prints both side by side; returns whether they agree."""
    width = 9 * gradient.shape[1] + 4
    print(f"  {name + ', tfqz':<{width}}central differences")
    for row in zip(gradient, differences):
        print("    ".join("".join(f"{entry:9.4f}" for entry in half) for half in row))
    return agree(name, gradient, differences)


def agree(what, got, expected):
    """Prints the relative error; returns whether it is small enough."""
    error = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    print(f"  {what:<56}relative error {error:.0e}")
    return error <= TOLERANCE


def main():
    passed = [sum_of_entries(), rank_deficient(), rectangular(), business_cycle_model()]
    if not all(passed):
        print(f"\nA relative error is larger than {TOLERANCE:.0e}.")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
