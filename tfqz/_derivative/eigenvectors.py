r"""The derivative of simple eigenvalues by their eigenvectors, which needs their own distances from the others and nothing else.

In the frames of the factors let K_j = t_jj S - s_jj T. A right eigenvector of eigenvalue j solves K_j x = 0, x_j = 1, and is 0 behind x_j;
a left one solves y^H K_j = 0, y_j = 1, and is 0 before y_j. So y^H S x = s_jj, y^H T x = t_jj, and, for any dS and dT,

    t_jj ds_jj - s_jj dt_jj = y^H (t_jj dS - s_jj dT) x

is how s_jj : t_jj moves. (The length of (s_jj, t_jj) hangs on columns of Q and Z too, so on the distances of those before j from those
behind it.) The equations (3) of `formula.py` have the same solution, but find its entry (i, k), a multiple of y_i conj(x_k),
by division by the distance of the eigenvalues i and k: where these are of one cluster, one before and one behind j, rounding errors grow to
any size, division by division.

For derivatives of higher order S and T are Q^H A Z and Q^H B Z with constant Q and Z, triangular at one place only. What is attached to
the values that come of triangular S and T are the derivatives of functions of full ones:

    (s_j, t_j)    on a line through (s_jj, t_jj), so that s_j : t_j moves as above
    x             dx = -K^+ dK x, where K^+ h is the v of v_j = 0 and (K v)_i = h_i, i != j
    K^+ h         dv = K^+ (dh - dK v)

and the same for y, whose matrices are S^H and T^H. These have the adjoints of both K^+. In reverse order of rows and columns they are upper
triangular too, so both are `sides` of one computation: tensors [2, ...] with (S, T), x first and those in reverse order second.
"""

import tensorflow as tf

from tfqz._derivative.attach import attach_gradient, register_rule
from tfqz._derivative.noise import where_significant
from tfqz._form import blocks, eigenvalues, quotients, tolerances
from tfqz._form.products import matmul


class Simple:
    """Simple eigenvalues of pencils with the factors S, T, Q, Z, [..., n, n], which count as constant.

    Attributes:
      which: [..., n], true for them; but for those so ill-conditioned that sums over several would lose what they know to cancellation.
      norms: two, [..., 1], of S and T.
      s, t: [..., n], complex, y^H S x and y^H T x over these norms.
    """

    def __init__(self, S, T, Q, Z, pencil, native):
        """`pencil`: A and B, [..., n, n], as whose functions all is to be differentiated, or None."""
        S, T, Q, Z = (tf.stop_gradient(X) for X in (S, T, Q, Z))
        self._real = not S.dtype.is_complex
        norms = [blocks.largest(X) for X in (S, T)]
        S, T = (X / tf.cast(norm, X.dtype) for X, norm in zip((S, T), norms))
        if self._real:
            frames = blocks.triangularize(S, T)
            S, T, Q, Z = (blocks.to_complex(X) for X in (S, T, Q, Z))
            S, T = (matmul(frames[0], matmul(X, frames[1]), adjoint_a=True) for X in (S, T))
            Q, Z = matmul(Q, frames[0]), matmul(Z, frames[1])
        triangular = tf.stack([tf.linalg.band_part(X, 0, -1) for X in (S, T)])
        ratios = tf.linalg.diag_part(triangular)
        inverse, alone = _inverse_distances(ratios)
        self._Q, self._Z, self.norms = Q, Z, [norm[..., 0] for norm in norms]
        rows = tf.stack(tf.unstack(_sides(triangular), num=2, axis=1), axis=-2)
        inverse = tf.stack([inverse, _flipped(tf.math.conj(inverse))])
        eye = blocks.identity_like(inverse)
        vectors = _substitute(rows, _sides_of_ratios(ratios), inverse, tf.zeros_like(inverse), eye)
        squares = tf.reduce_sum(square(vectors), axis=-2)
        length = tf.sqrt(squares[0]) * tf.reverse(tf.sqrt(squares[1]), [-1])
        self.which = alone & (length <= tolerances.longest_vectors(S.dtype))
        kept = tf.stack([self.which, tf.reverse(self.which, [-1])])[..., None, :]
        vectors, inverse = blocks.masked(kept, vectors), blocks.masked(kept, inverse)
        constants = [rows, inverse, vectors]
        if pencil is None:
            self.s, self.t = tf.unstack(blocks.masked(self.which, ratios), num=2)
        else:
            A, B = (blocks.to_complex(X) if self._real else X for X in pencil)
            moving = tf.stack([matmul(Q, matmul(X, Z), adjoint_a=True) / tf.cast(norm, X.dtype) for X, norm in zip((A, B), norms)])
            ratios = attach_gradient("MovingRatios", [moving, ratios, *constants], [ratios], native)[0]
            sides = _sides(moving)
            vectors = _attached(sides, _sides_of_ratios(ratios), tf.zeros_like(vectors), constants, vectors, native)
            self.s, self.t = _products(moving, vectors)
        self._vectors = vectors

    def outer(self, of_a, of_b):
        """Cotangents of A and B: the sums of y x^H by weights, [..., n] each, complex."""
        right, left = self._vectors[0], _flipped(self._vectors[1])
        X, Y = matmul(self._Z, right), matmul(self._Q, left)
        sums = [matmul(weight[..., None, :] * Y, X, adjoint_b=True) for weight in (of_a, of_b)]
        return [tf.math.real(x) for x in sums] if self._real else sums


def by_eigenvectors(S, T, Q, Z, alphab, betab, ratios, pencil, native):
    """What simple eigenvalues add to the cotangents of A and B, so far as alpha : beta goes; and what is left of alphab and betab.

    (alphab, betab) = c (beta, -conj(alpha)) + d (alpha, beta): c belongs to the ratio, and d to the length, which is no function of the
    eigenvalue alone. With the right imaginary part of betab, which counts for nothing, d is real.

    Args:
      S, T, Q, Z: [..., n, n], factors in canonical form.
      alphab, betab: [..., n], cotangents of alpha and beta.
      ratios: a Python bool, whether they are those of a function of alpha / beta that takes beta for constant: betab counts for nothing.
      pencil: A and B, [..., n, n], as whose function, and that of S and T, the result is to be differentiated; None if it isn't.
      native: a Python bool, as in `_derivative/equations.py`.
    """
    simple = Simple(S, T, Q, Z, pencil, native)
    which, (norm_s, norm_t) = simple.which, simple.norms
    conj, to_complex = tf.math.conj, blocks.to_complex
    alpha, beta = eigenvalues.alpha_beta(S, T, differentiable=pencil is not None)
    beta = tf.math.real(beta)
    if ratios:
        of_quotient = alphab * to_complex(tf.stop_gradient(beta))
        of_a = of_quotient * to_complex(1 / norm_t) * conj(inverse(simple.t))
        of_b = -of_a * to_complex(norm_s / norm_t) * conj(simple.s * inverse(simple.t))
        rest_s, rest_t = tf.zeros_like(alphab), tf.zeros_like(betab)
        if pencil is not None:
            alphab = quotients.over_no_nan(of_quotient, beta)
            betab = eigenvalues.beta_cotangent(alpha, tf.cast(beta, betab.dtype), alphab)
    else:
        s, t = alpha * to_complex(1 / norm_s), beta / norm_t
        of_s, of_t = alphab * to_complex(norm_s), tf.math.real(betab) * norm_t
        if not S.dtype.is_complex:
            real = ~(blocks.starts(S) | blocks.preceding(blocks.starts(S)))
            of_s = tf.where(real, to_complex(tf.math.real(of_s)), of_s)
        phase = t > tolerances.zero_beta(S.dtype, tf.shape(S)[-1])
        turn = -tf.math.divide_no_nan(blocks.masked(phase, tf.math.imag(conj(s) * of_s)), t)
        of_t, t = tf.complex(of_t, turn), to_complex(t)
        c, d = t * of_s - s * of_t, conj(s) * of_s + t * of_t
        summands = square(s * of_s) + square(t * of_t)
        d = where_significant(square(d) > tolerances.length(S.dtype) ** 2 * summands, d)
        # y^H S x = s and y^H T x = t, up to a factor.
        c = c * inverse(s * conj(simple.s) + t * conj(simple.t))
        of_a, of_b = c * t * to_complex(1 / norm_s), -c * conj(s) * to_complex(1 / norm_t)
        d = d * to_complex(tf.math.divide_no_nan(tf.ones_like(beta), square(s) + square(t)))
        rest_s, rest_t = d * s * to_complex(1 / norm_s), tf.cast(tf.math.real(d * t) / norm_t, betab.dtype)
    none = tf.zeros_like(of_a)
    pencil_cotangents = simple.outer(*(tf.where(which, x, none) for x in (of_a, of_b)))
    return pencil_cotangents, [tf.where(which, rest_s, alphab), tf.where(which, rest_t, betab)]


def square(x):
    """|x|^2, by cheap operations."""
    return tf.math.real(x) ** 2 + tf.math.imag(x) ** 2


def inverse(x):
    """1 / x of complex numbers near 1, and 0 for 0. XLA compiles a complex division slowly, and anew for each use."""
    return tf.math.conj(x) * blocks.to_complex(tf.math.divide_no_nan(tf.ones_like(tf.math.real(x)), square(x)))


def _inverse_distances(ratios):
    """[..., n, n]: 1 / (t_j s_i - s_j t_i), i != j, for each j that has no other so near that both are of one cluster, else 0; and
    [..., n], true for these j."""
    s, t = tf.unstack(ratios, num=2)
    lengths = square(s) + square(t)
    distance = s[..., :, None] * t[..., None, :] - t[..., :, None] * s[..., None, :]
    limit = tolerances.cluster(s.dtype) ** 2 * lengths[..., :, None] * lengths[..., None, :]
    i = tf.range(tf.shape(s)[-1])
    other = tf.not_equal(i[:, None], i)
    alone = ~tf.reduce_any((square(distance) <= limit) & other, axis=-2)
    return blocks.masked(other & alone[..., None, :], inverse(distance)), alone


def _substitute(rows, ratios, inverse, right_hand_sides, solution):
    """K^+ h for each column h_j of `right_hand_sides`, added to `solution`, whose other columns are on the left-hand side then.

    Args:
      rows: [2, ..., n, 2, n], rows of S and of T, upper triangular, of both sides.
      ratios: [2, 2, ..., n], s_j and t_j.
      inverse, right_hand_sides, solution: [2, ..., n, n], the first two by column j.
    """
    # Tapes differentiate a loop as soon as they see it, whether anybody asks or not.
    rows, ratios, inverse, right_hand_sides, solution = map(tf.stop_gradient, (rows, ratios, inverse, right_hand_sides, solution))
    s, t = tf.unstack(ratios, num=2, axis=1)
    factors = tf.stack([-t, s], axis=-2)

    def step(count, solution):
        n = tf.shape(rows)[-1]
        k = n - 1 - count
        products = matmul(tf.gather(rows, k, axis=-3), solution)
        row = tf.gather(right_hand_sides, k, axis=-2) + tf.reduce_sum(factors * products, axis=-2)
        row = row * tf.gather(inverse, k, axis=-2)
        i = tf.range(n)
        here = tf.equal(i, k)[:, None] & tf.not_equal(i, k)
        solution = tf.where(here, row[..., None, :], solution)
        solution.set_shape(inverse.shape)
        return count + 1, solution

    n = tf.shape(rows)[-1]
    return tf.while_loop(lambda count, _: count < n, step, (tf.constant(0, tf.int32), solution), parallel_iterations=1)[1]


def _flipped(X):
    return tf.reverse(X, [-2, -1])


def _sides(pair):
    """[2, 2, ..., n, n] of S and T, [2, ..., n, n]."""
    return tf.stack([pair, _flipped(tf.linalg.adjoint(pair))])


def _sides_of_ratios(ratios):
    """[2, 2, ..., n] of s and t, [2, ..., n]."""
    return tf.stack([ratios, tf.reverse(tf.math.conj(ratios), [-1])])


def _adjoint(solver, X):
    """The adjoint of K^+ for both sides: each has the other's matrices."""
    return _flipped(tf.reverse(solver(_flipped(tf.reverse(X, [0]))), [0]))


def _products(pair, vectors):
    """[..., n] each: y^H S x and y^H T x."""
    X, Y = vectors[0], _flipped(vectors[1])
    return tf.unstack(tf.reduce_sum(tf.math.conj(Y) * matmul(pair, X), axis=-2), num=2)


def _solve(sides, ratios, right_hand_sides, constants, native):
    """K^+ of both sides, differentiable. `constants`: the rows of triangular S and T, inverse distances, and vectors."""
    rows, inverse, _ = constants
    inputs = (rows, ratios, inverse, right_hand_sides, tf.zeros_like(right_hand_sides))
    solution = _substitute(*(tf.stop_gradient(x) for x in inputs))
    return _attached(sides, ratios, right_hand_sides, constants, solution, native)


def _attached(sides, ratios, right_hand_sides, constants, solution, native):
    """A solution of K v = h with a constant v_j, and its derivative."""
    return attach_gradient("MovingVectors", [sides, ratios, right_hand_sides, *constants], [solution], native)[0]


@register_rule("MovingVectors", arguments=6, batch_first=False)
def _solve_pullback(arguments, values, cotangents, native):
    sides, ratios, _, *constants = arguments
    (V,), (Vb,) = values, cotangents
    Hb = _adjoint(lambda X: _solve(sides, ratios, X, constants, native), Vb)
    s, t = tf.unstack(tf.math.conj(ratios), num=2, axis=1)
    weights = tf.stack([-t, s], axis=1)
    of_sides = matmul(weights[..., None, :] * Hb[:, None], V[:, None], adjoint_b=True)
    of_s, of_t = tf.unstack(tf.reduce_sum(tf.math.conj(matmul(sides, V[:, None])) * Hb[:, None], axis=-2), num=2, axis=1)
    return [of_sides, tf.stack([of_t, -of_s], axis=1), Hb, *[None] * len(constants)]


@register_rule("MovingRatios", arguments=5, batch_first=False)
def _ratios_pullback(arguments, values, cotangents, native):
    """Of (s, t) = (s0, t0) + z (conj t0, -conj s0) / |(s0, t0)|^2, s and t moving together with S and T."""
    pair, start, *constants = arguments
    (ratios,), (cotangent,) = values, cotangents
    vectors = _attached(_sides(pair), _sides_of_ratios(ratios), tf.zeros_like(constants[-1]), constants, constants[-1], native)
    (s0, t0), (s, t), (sb, tb) = (tf.unstack(x, num=2) for x in (start, ratios, cotangent))
    conj = tf.math.conj
    # y^H S x : y^H T x is s : t.
    scale = sum(conj(x) * y for x, y in zip((s, t), _products(pair, vectors)))
    along = conj(s0) * s + conj(t0) * t
    zb = (t0 * sb - s0 * tb) * blocks.to_complex(square(s) + square(t)) * conj(inverse(scale * along))
    X, Y = vectors[0], _flipped(vectors[1])
    weights = tf.stack([conj(t), -conj(s)]) * zb
    return [matmul(weights[..., None, :] * Y, X, adjoint_b=True), *[None] * (1 + len(constants))]
