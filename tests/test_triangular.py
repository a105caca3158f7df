"""The coupled triangular equations by themselves."""

import numpy as np
import oracles
import pytest
import scipy.linalg
import tensorflow as tf
from functionals import deviates, relative_error

from tfqz._backends import native as op_library
from tfqz._derivative import equations, triangular

# In TensorFlow ops one block up to 16 and blocks of 16 beyond, natively one up to 24 and halves of halves beyond.
SIZES = [0, 1, 2, 5, 16, 17, 24, 33, 50, 65, 130]


@pytest.fixture(params=[False, True], ids=["ops", "native"])
def native(request):
    if request.param and op_library.why_not() is not None:
        pytest.skip(op_library.why_not())
    return request.param


def adjoint(x):
    return x.conj().T


def factors(rng, n, dtype):
    a, b = deviates(rng, (n, n), dtype), deviates(rng, (n, n), dtype)
    return oracles.scipy_qz(a, b)[:2]


def lower_part(rng, S):
    """A random right-hand side and the mask of the entries that count."""
    mask = triangular.strictly_lower(tf.constant(S)).numpy()
    return mask * deviates(rng, S.shape, S.dtype), mask


def solve(solver, native, *arrays):
    return [x.numpy() for x in solver(*(tf.constant(x) for x in arrays), native=native)]


@pytest.mark.slow_if("complex64-130", "float32-130")
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_equations(dtype, n, native, rng):
    """The residual is that of a backward stable substitution: a few eps times the solution."""
    assert_solved(*factors(rng, n, dtype), rng, native)


@pytest.mark.parametrize("distance", [1e-2, 1e-5, 1e-7])
@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.no_case_if(lambda dtype, pairs: pairs and dtype != "float64", "of real factors")
def test_solutions_of_nearly_singular_equations(dtype, pairs, distance, native, rng):
    """As small a residual, also where the solution is much smaller than right-hand sides of its size can have."""
    n = 7
    T, R = (np.triu(deviates(rng, (n, n), dtype)) for _ in "TR")
    np.fill_diagonal(T, rng.uniform(1, 2, n))
    np.fill_diagonal(R, np.arange(n))
    if pairs:
        for k in (0, 3, 5):
            T[k, k], T[k, k + 1], R[k, k + 1], R[k + 1, k] = T[k + 1, k + 1] + 0.5, 0, 1 + k, -2.0
    S = distance * R - 1.25 * T
    (first, mask), (second, _) = lower_part(rng, S), lower_part(rng, S)
    size = np.linalg.norm(S) + np.linalg.norm(T)
    bound = 10 * n * np.finfo(dtype).eps * size * np.linalg.norm([first, second])
    M, N = mask * (first @ S - S @ second), mask * (first @ T - T @ second)
    X, V = solve(equations.solve, native, S, T, M, N)
    assert np.linalg.norm(mask * (X @ S - S @ V) - M) <= bound
    assert np.linalg.norm(mask * (X @ T - T @ V) - N) <= bound
    P, R = mask * (first @ adjoint(S) + second @ adjoint(T)), mask * -(adjoint(S) @ first + adjoint(T) @ second)
    E, F = solve(equations.solve_adjoint, native, S, T, P, R)
    assert np.linalg.norm(mask * (E @ adjoint(S) + F @ adjoint(T)) - P) <= bound
    assert np.linalg.norm(mask * (adjoint(S) @ E + adjoint(T) @ F) + R) <= bound


@pytest.mark.parametrize("first", [0, 1])
def test_pairs_anywhere(first, native, rng):
    """2 x 2 blocks in every other row, those where a block of 16 rows ends among them."""
    n = 49
    S, T = (np.triu(rng.standard_normal((n, n))) for _ in "ST")
    np.fill_diagonal(T, 2 + np.abs(T.diagonal()))
    starts = np.arange(first, n - 1, 2)
    S[starts, starts + 1], S[starts + 1, starts] = 5, -4 - starts
    S[starts + 1, starts + 1] = S[starts, starts]
    T[starts, starts + 1] = 0
    T[starts, starts] = T[starts + 1, starts + 1] + 1
    assert_solved(S, T, rng, native)


def assert_solved(S, T, rng, native):
    n, dtype = len(S), S.dtype
    (M, mask), (N, _) = lower_part(rng, S), lower_part(rng, S)
    X, V = solve(equations.solve, native, S, T, M, N)
    E, F = solve(equations.solve_adjoint, native, S, T, M, N)
    for unknown in (X, V, E, F):
        assert np.all(unknown[mask == 0] == 0)
    if n < 2:
        return
    size = np.linalg.norm(S) + np.linalg.norm(T)
    bound = 10 * n * np.finfo(dtype).eps * size
    solution, adjoint_solution = np.linalg.norm([X, V]), np.linalg.norm([E, F])
    assert np.linalg.norm(mask * (X @ S - S @ V) - M) <= bound * solution
    assert np.linalg.norm(mask * (X @ T - T @ V) - N) <= bound * solution
    assert np.linalg.norm(mask * (E @ adjoint(S) + F @ adjoint(T)) - M) <= bound * adjoint_solution
    assert np.linalg.norm(mask * (adjoint(S) @ E + adjoint(T) @ F) + N) <= bound * adjoint_solution


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_each_is_the_adjoint_of_the_other(dtype, native, rng):
    """<(X, V), (P, R)> = <(M, N), (E, F)>."""
    S, T = factors(rng, 40, dtype)
    M, N, P, R = (lower_part(rng, S)[0] for _ in range(4))
    X, V = solve(equations.solve, native, S, T, M, N)
    E, F = solve(equations.solve_adjoint, native, S, T, P, R)
    left = oracles.inner(X, P) + oracles.inner(V, R)
    assert left == pytest.approx(oracles.inner(M, E) + oracles.inner(N, F), rel=1e-10)


@pytest.mark.parametrize("n", [6, 40])
@pytest.mark.parametrize("adjoint_equations", [False, True])
@pytest.mark.parametrize("equal", ["all-infinite", "in-blocks", "singular"])
def test_minimum_norm_solution(equal, adjoint_equations, n, native, rng):
    """Elements of equal eigenvalues solve their 2 x 2 systems in the least-squares sense, with minimum norm."""
    S, T = (np.triu(deviates(rng, (n, n), "complex128")) for _ in "ST")
    group = {"all-infinite": np.arange(n) % 3 == 0, "in-blocks": np.arange(n) < 3, "singular": np.arange(n) == n // 2}[equal]
    diagonal_s, diagonal_t = np.diag(S).copy(), np.diag(T).copy()
    diagonal_s[group] = diagonal_s[np.flatnonzero(group)[0]] * np.arange(1, 1 + group.sum()) if equal != "singular" else 0
    diagonal_t[group] = 0
    # Diagonal S, T decouple the elements, so that NumPy's pseudo-inverse is an oracle for each. Norm 1: the solver scales.
    S, T = np.diag(diagonal_s / abs(diagonal_s).max()), np.diag(diagonal_t / abs(diagonal_t).max())
    M, N = lower_part(rng, S)[0], lower_part(rng, S)[0]
    got = solve(equations.solve_adjoint if adjoint_equations else equations.solve, native, S, T, M, N)
    for i in range(n):
        for j in range(i):
            if adjoint_equations:
                matrix = np.array([[S[j, j], T[j, j]], [-S[i, i], -T[i, i]]]).conj()
            else:
                matrix = np.array([[S[j, j], -S[i, i]], [T[j, j], -T[i, i]]])
            expected = np.linalg.pinv(matrix, rcond=1e-13) @ [M[i, j], N[i, j]]
            assert np.allclose([x[i, j] for x in got], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_against_a_dense_solution(dtype, native, rng):
    """The equations as one linear system of all unknowns, built column by column from the operator's definition."""
    n = 7
    S, T = factors(rng, n, dtype)
    M, mask = lower_part(rng, S)
    N, _ = lower_part(rng, S)
    where = np.argwhere(mask)

    def operator(x):
        X, V = np.zeros_like(S), np.zeros_like(S)
        half = len(where)
        for k, (i, j) in enumerate(where):
            X[i, j], V[i, j] = x[k], x[half + k]
        return np.concatenate([(Y)[tuple(where.T)] for Y in (X @ S - S @ V, X @ T - T @ V)])

    matrix = np.stack([operator(unit) for unit in np.eye(2 * len(where))], axis=1)
    expected = np.linalg.solve(matrix, np.concatenate([M[tuple(where.T)], N[tuple(where.T)]]))
    X, V = solve(equations.solve, native, S, T, M, N)
    assert relative_error([np.concatenate([X[tuple(where.T)], V[tuple(where.T)]])], [expected]) < 1e-10


@pytest.mark.parametrize("solver", [equations.solve, equations.solve_adjoint])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_gradient_of_the_solvers(dtype, solver, native, rng):
    """By all four arguments, against central differences on the pattern of S and T."""
    S, T = factors(rng, 5, dtype)
    M, N = lower_part(rng, S)[0], lower_part(rng, S)[0]
    weights = [deviates(rng, S.shape, dtype) for _ in range(2)]
    pattern = ~triangular.strictly_lower(tf.constant(S)).numpy()
    pattern_of_T = np.triu(np.ones_like(S)) * (1 - np.roll(np.diag(np.append(np.diag(S, -1) != 0, 0)), 1, axis=1))
    directions = [deviates(rng, S.shape, dtype) for _ in range(4)]
    directions = [d * p for d, p in zip(directions, [pattern, pattern_of_T, 1 - pattern, 1 - pattern])]

    def f(arrays):
        return sum(tf.reduce_sum(tf.math.real(tf.math.conj(w) * x)) for w, x in zip(weights, solver(*arrays, native=native)))

    arrays = [tf.constant(x) for x in (S, T, M, N)]
    with tf.GradientTape() as tape:
        tape.watch(arrays)
        value = f(arrays)
    gradients = tape.gradient(value, arrays)
    h = 1e-6
    moved = [f([tf.constant(x + sign * h * d) for x, d in zip((S, T, M, N), directions)]) for sign in (1, -1)]
    expected = float(moved[0] - moved[1]) / (2 * h)
    assert sum(oracles.inner(g.numpy(), d) for g, d in zip(gradients, directions)) == pytest.approx(expected, rel=1e-7)


def with_equal_eigenvalues(rng, dtype, ordinary):
    """Two pairs S, T in a batch, n = 30: single eigenvalues that are equal among others, and pairs of the real form."""
    pairs = [[[1.0, 2], [-3, 1]], [[1.0, 2], [-3, 2]], [[4.0, 1], [-1, 4]]] if dtype == "float64" else []
    blocks = [[[0.0]], [[2.0]], [[2.0]], *pairs]
    S = scipy.linalg.block_diag(*(np.array(block) * (1 + k * (len(block) - 1)) for k in range(10) for block in blocks))
    S = S[:30, :30].astype(dtype)
    beside = np.triu((S == 0) & (S.T == 0), 1)
    S = S + beside * deviates(rng, (2, 30, 30), dtype) / 30
    T = np.broadcast_to(np.eye(30, dtype=dtype), S.shape)
    return S, T if ordinary else 2 * T + beside * deviates(rng, (2, 30, 30), dtype) / 30


@pytest.mark.parametrize("ordinary", [False, True])
@pytest.mark.parametrize("adjoint_equations", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_both_solvers_agree(dtype, adjoint_equations, ordinary, rng):
    """To rounding, where single eigenvalues are equal too. (Of equal complex pairs they take different solutions.)"""
    if op_library.why_not() is not None:
        pytest.skip(op_library.why_not())
    S, T = with_equal_eigenvalues(rng, dtype, ordinary)
    first, second = deviates(rng, S.shape, dtype), (0 if ordinary else 1) * deviates(rng, S.shape, dtype)
    arguments = [tf.constant(x) for x in (S, T, first, second)]
    expected = [x.numpy() for x in triangular.solve(*arguments, adjoint_equations, ordinary)]
    found = [x.numpy() for x in op_library.solve_triangular(*arguments, None, adjoint=adjoint_equations, ordinary=ordinary)]
    assert relative_error(found, expected) < 1e-10


def test_equal_pairs(native, rng):
    """Of the real form, with right-hand sides that have a solution: any solution is as good."""
    S = scipy.linalg.block_diag(*[[[1.0, 2], [-3, 1]]] * 2, [[0.5]])
    T = np.diag([2.0, 1, 2, 1, 3])
    S, T = (X + np.triu((S == 0) & (S.T == 0), 1) * deviates(rng, (5, 5), "float64") for X in (S, T))
    S[:4, :4] = scipy.linalg.block_diag(S[:2, :2], S[:2, :2])
    T[:4, :4] = np.diag(np.diag(T[:4, :4]))
    (E, mask), (F, _) = lower_part(rng, S), lower_part(rng, S)

    def left_hand_sides(E, F):
        return mask * (E @ S.T + F @ T.T), mask * -1 * (S.T @ E + T.T @ F)

    P, R = left_hand_sides(E, F)
    solution = solve(equations.solve_adjoint, native, S, T, P, R)
    assert relative_error(left_hand_sides(*solution), [P, R]) < 1e-12
    assert relative_error(solution, [E, F]) > 1e-3


def test_memory_and_graph_do_not_grow():
    """The graph has as many nodes for n = 300 as for n = 40, and no intermediate of more than a few n^2 entries."""

    def nodes(n):
        spec = tf.TensorSpec([1, n, n], tf.complex128)
        concrete = tf.function(lambda *x: equations.solve(*x, native=False)).get_concrete_function(*[spec] * 4)
        definition = concrete.graph.as_graph_def()
        return len(definition.node) + sum(len(function.node_def) for function in definition.library.function)

    assert nodes(300) == nodes(40)
