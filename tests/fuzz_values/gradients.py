"""What has to be true of gradients, whatever the pencil, and where a number says how much rounding may make of them."""

import numpy as np
import oracles
import tensorflow as tf
from functionals import deviates

import tfqz
from fuzz_values import properties


def cotangents(c, call, a, b, outputs, failed):
    """Random ones of the outputs that have a derivative, of such sizes that gradients are in the range; zeros for elements that failed.

    With scales 2^i and 2^j of A and B, and cotangents 2^(k - i) of S and so on, the gradients are of the sizes 2^(k - i) and 2^(k - j): at
    most 1 with the smaller one of i and j for k (or less, for cotangents of Q and Z in the range). What is too small for the range is 0.
    """
    rng = np.random.default_rng(c.seed)
    bars = []
    scales = [(properties.exponent_of(x), properties.exponent_of(y)) for x, y in zip(a, b)]
    for (of_a, of_b), x in zip(call.degrees, outputs):
        bar = deviates(rng, x.shape, x.dtype)
        for place, (i, j) in enumerate(scales):
            k = min(i, j, np.finfo(a.dtype).maxexp - 8) - of_a * i - of_b * j
            bar[place] = 0 if failed[place] else properties.times(bar[place], k)
        bars.append(bar)
    return bars


def gradient(f, arguments, bars):
    """Cotangents of the arguments of `f`, as arrays, from those of its first outputs; zeros where nothing depends on one."""
    arguments = list(map(tf.constant, arguments))
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        outputs = list(f(*arguments))[: len(bars)]
    found = tape.gradient(outputs, arguments, output_gradients=list(map(tf.constant, bars)))
    return [np.zeros(x.shape, x.dtype.as_numpy_dtype) if g is None else g.numpy() for g, x in zip(found, arguments)]


def derivative(f, arguments, moves, count):
    """That of the first `count` outputs of `f` along a direction, as arrays, by forward mode."""
    arguments = list(map(tf.constant, arguments))
    with tf.autodiff.ForwardAccumulator(arguments, list(map(tf.constant, moves))) as accumulator:
        outputs = list(f(*arguments))[:count]
    return [accumulator.jvp(x).numpy() for x in outputs]


def leaves_range(found, f, arguments, bars):
    """Whether a gradient in single precision isn't finite since it is too large, which double precision shows."""
    dtype = arguments[0].dtype
    if np.finfo(dtype).bits > 32 or all(np.isfinite(g).all() for g in found):
        return False
    exact = gradient(f, *([x.astype(np.result_type(x, np.float64)) for x in xs] for xs in (arguments, bars)))
    return max(np.abs(g).max(initial=0) for g in exact) > np.finfo(dtype).max * 2.0**-10


def grows_beyond_range(c, a, b, found):
    """Whether there are elements whose gradients aren't finite, and all of these have so many nearly equal eigenvalues that solutions of
    the equations, which may be divided by each of their distances, can leave the range."""
    limits = np.finfo(a.dtype)
    infinite = [k for k in range(len(a)) if not all(np.isfinite(g[k]).all() for g in found)]
    for k in infinite:
        eigenvalues = tfqz.eigvals(a[k], b[k], True, rank=c.rank).numpy()
        alpha, beta, _ = properties.points(*eigenvalues, properties.over_norms(a[k], b[k])[2])
        distances = np.maximum(np.abs(alpha[:, None] * beta - alpha * beta[:, None]), limits.eps) + np.eye(len(alpha))
        growth = -np.log(np.where(distances < 0.001, distances, 1)).sum(axis=1)
        if growth.max(initial=0) <= np.log(limits.max) / 2:
            return False
    return bool(infinite)


def finite(found, failed):
    """Where nothing failed; and 0 where something did, whose cotangent was 0."""
    good = all(np.isfinite(g[~failed]).all() and not np.any(g[failed]) for g in found)
    return properties.holds(good)


def distance(s, t, q, z):
    """How far factors of one square pencil are from where they have no derivative: the smallest singular value of the equations (2), for S
    and T of norm 1, and what else the convention divides by. 0 where something that is divided by may or may not count as 0."""
    n = len(s)
    s, t, _ = properties.over_norms(s, t)
    eps = float(np.finfo(q.dtype).eps)
    mask = np.tril(np.ones((n, n), bool), -1) & ~np.eye(n, k=-1).astype(bool)
    mask |= (np.diag(np.diag(s, -1) == 0, -1)) & np.eye(n, k=-1).astype(bool) if n > 1 else False
    places = np.argwhere(mask)
    count = len(places)
    if count == 0:
        smallest = 1.0
    else:
        matrix = np.zeros((2 * count, 2 * count), s.dtype)
        for column, (i, j) in enumerate(places):
            for part, x in enumerate((s, t)):
                left, right = np.zeros_like(x), np.zeros_like(x)
                left[i] = x[j]  # unit @ x
                right[:, j] = x[:, i]  # x @ unit
                matrix[part * count : (part + 1) * count, column] = left[mask]
                matrix[part * count : (part + 1) * count, count + column] = -right[mask]
        smallest = np.linalg.svd(matrix, compute_uv=False)[-1]
    others = [smallest]
    for k, size in oracles.blocks(s):
        if size == 2:
            x, y = t[k, k].real, t[k + 1, k + 1].real
            gap = (x - y) / (x + y)
            others.append(gap if gap > 0 else 1.0)
    diagonal = np.abs(np.diag(t))
    if np.iscomplexobj(s):
        others += [x for x in diagonal if x > 0]
    else:
        others += [1.0 if x == 0 or x > 1e3 * n * eps else 0.0 for x in diagonal]
    return float(min(others, default=1.0))


def functional(weights, c, backend):
    """<C, Q S Z^H> + <D, Q T Z^H>, whose gradient is (C, D)."""

    def f(a, b):
        s, t, q, z = tfqz.qz(a, b, c.output, backend=backend)
        products = [q @ x @ tf.linalg.adjoint(z) for x in (s, t)]
        return [tf.add_n([tf.reduce_sum(tf.math.real(tf.math.conj(tf.cast(w, x.dtype)) * x)) for w, x in zip(weights, products)])]

    return f


def round_trip(c, backend, a, b, factors):
    """The gradient of what A and B themselves are linear functionals of; None where rounding may make anything of it."""
    n = len(a)
    exponents = [properties.exponent_of(x) for x in (a, b)]
    if n > 8 or not all(abs(e) < 100 for e in exponents):
        return None
    scales = [2.0**-e for e in exponents]
    relative = float(properties.precision(a.dtype, n)[0]) / max(distance(*factors), 1e-300) * n
    if relative > 1e-2:
        return None
    rng = np.random.default_rng(c.seed)
    weights = [(deviates(rng, x.shape, x.dtype) * scale).astype(x.dtype) for x, scale in zip((a, b), scales)]
    found = gradient(functional(weights, c, backend), [a, b], [np.ones((), a.real.dtype)])
    size = np.sqrt(sum(np.linalg.norm(w / scale) ** 2 for w, scale in zip(weights, scales)))
    error = np.sqrt(sum(np.linalg.norm((g - w) / scale) ** 2 for g, w, scale in zip(found, weights, scales)))
    return properties.ratio(error, relative * size)


def forward_mode(c, backend, a, b, factors, bars, found):
    """<bars, derivative of the factors along a direction> by an accumulator is <gradient, direction>; None as above."""
    n = len(a)
    exponents = [properties.exponent_of(x) for x in (a, b)]
    if n > 8 or not all(abs(e) < 30 for e in exponents):
        return None
    scales = [2.0**e for e in exponents]
    gap = max(distance(*factors), 1e-300)
    relative = float(properties.precision(a.dtype, n)[0]) / gap / gap * n  # whose square may be 0
    if relative > 1e-2:
        return None
    rng = np.random.default_rng(c.seed + 1)
    moves = [(deviates(rng, x.shape, x.dtype) * scale).astype(x.dtype) for x, scale in zip((a, b), scales)]
    changes = derivative(lambda a, b: tfqz.qz(a, b, c.output, backend=backend), [a, b], moves, 4)
    forward = sum(oracles.inner(bar.astype(complex), x) for bar, x in zip(bars, changes))
    backward = sum(oracles.inner(g.astype(complex), x) for g, x in zip(found, moves))
    weights = [1 if (i, j) == (0, 0) else scales[0] if i else scales[1] for i, j in ((1, 0), (0, 1), (0, 0), (0, 0))]
    size = np.sqrt(sum((np.linalg.norm(bar.astype(complex)) * w) ** 2 for bar, w in zip(bars, weights)))
    length = np.sqrt(sum((np.linalg.norm(x.astype(complex)) / scale) ** 2 for x, scale in zip(moves, scales)))
    return properties.ratio(abs(forward - backward), relative * size * length)
