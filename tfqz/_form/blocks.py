"""The 2 x 2 diagonal blocks of the real generalized Schur form, where they are and how to make them triangular.

All functions take S, T as [..., n, n] in canonical form: T's block is diag(a, d), a >= d > 0.
"""

from typing import NamedTuple

import tensorflow as tf

from tfqz._form import checks


def square_place(S):
    """Of the triangular block of a factor, [..., m, n], that is upper trapezoidal: how many rows are above it, and its size."""
    m, n = sizes(S)
    return tf.maximum(m - n, 0), tf.minimum(m, n)


def square_part(S):
    """That block, [..., p, p]: the last p rows and first p columns."""
    m, n = checks.inner(S.shape)
    if m == n is not None:
        return S
    above, p = square_place(S)
    return S[..., above:, :p]


def to_complex(x):
    """A real x as complex numbers: tf.cast warns of the imaginary part that its gradient drops."""
    return tf.complex(x, tf.zeros_like(x))


def of_dtype(x, dtype):
    """A real x in a dtype of its precision that may be complex."""
    return to_complex(x) if dtype.is_complex else x


def masked(mask, x):
    """x where the mask is true, else 0. (XLA would compute a mask of numbers when it compiles, and slowly.)"""
    return tf.where(mask, x, tf.zeros_like(x))


def largest(X):
    """[..., 1, 1], real: the largest modulus of a matrix, or 1 if it is zero."""
    modulus = tf.reduce_max(tf.abs(X), axis=[-2, -1], keepdims=True)
    return tf.where(modulus > 0, modulus, tf.ones_like(modulus))


def flattened(X):
    """The entries of matrices, row after row: [..., rows * columns]."""
    if X.shape.rank is None:
        shape = tf.shape(X)
        return tf.reshape(X, tf.concat([shape[:-2], tf.reduce_prod(shape[-2:], keepdims=True)], axis=0))
    *batch, rows, columns = tf.unstack(tf.shape(X), num=X.shape.rank)
    return tf.reshape(X, [*batch, rows * columns])


def sizes(x, axes=2):
    """How many there are along each of the last axes, a list. (Not tf.shape(x)[-1] and so on: of each TensorFlow makes five ops in a graph,
    where every op takes time to be made and to be compiled.)"""
    shape = tf.shape(x)
    if x.shape.rank is None:
        return tf.unstack(shape[-axes:], num=axes)
    return tf.unstack(shape, num=x.shape.rank)[-axes:]


def as_rows(x):
    """[..., 1, n]: the vectors x, [..., n], as rows."""
    return tf.expand_dims(x, -2)


def as_columns(x):
    """[..., n, 1]: the vectors x, [..., n], as columns."""
    return tf.expand_dims(x, -1)


def below(X):
    """[..., n]: x_{j+1,j}, and 0 at the end."""
    return tf.linalg.diag_part(roll(X, -1, -2))


def above(X):
    """[..., n]: x_{j,j+1}, and 0 at the end."""
    return tf.linalg.diag_part(roll(X, -1, -1))


def bands(X):
    """x_jj; x_{j,j+1}, x_{j+1,j} and x_{j+1,j+1}, 0 at the end; each [..., n]. Without a derivative worth having: XLA compiles one
    gather quickly, and what that one's gradient takes slowly."""
    _, n = sizes(X)
    j, behind = tf.range(n), n + 1
    steps = as_columns(tf.stack([0, 1, n, behind]))  # from x_jj on, in the order of rows
    places = tf.minimum(j * behind + steps, n * n - 1)
    return tuple(tf.unstack(masked((j < n - 1) | tf.equal(steps, 0), tf.gather(flattened(X), places, axis=-1)), num=4, axis=-2))


def bands_of_both(S, T):
    """`bands` of two matrices of one shape, by as few ops."""
    return zip(*(tf.unstack(x, num=2) for x in bands(tf.stack([S, T]))))


def following(x):
    """[..., n]: x_{j+1}, and 0 at the end."""
    return roll(x, -1, -1)


def preceding(x):
    """[..., n]: x_{j-1}, and 0 at the beginning."""
    return roll(x, 1, -1)


def place_below(x):
    """The matrix with x_j at (j+1, j), for x that is 0 at the end."""
    return masked(_is_diagonal(x, -1), as_rows(x))


def place_above(x):
    """The matrix with x_j at (j, j+1), for x that is 0 at the end."""
    return masked(_is_diagonal(x, 1), as_columns(x))


def beside_diagonal(x):
    """The mask of (j, j + 1) and (j + 1, j) where x_j, for a mask x that is false at the end."""
    return (_is_diagonal(x, 1) & as_columns(x)) | (_is_diagonal(x, -1) & as_rows(x))


def _is_diagonal(x, k):
    """[n, n]: true at (j, j + k), for a vector or matrix x."""
    (n,) = sizes(x, axes=1)
    i = tf.range(n)
    return tf.equal(as_columns(i + k if k else i), i)


def with_diagonal(X, x):
    """X with x, [..., n], on its diagonal. (tf.linalg.set_diag has a gradient that XLA can't compile for unknown shapes.)"""
    return tf.where(_is_diagonal(X, 0), as_rows(x), X)


def regular(X):
    """X with ones for zeros on its diagonal: where there is one nothing depends on it, and must be finite."""
    diagonal = tf.linalg.diag_part(X)
    return with_diagonal(X, tf.where(tf.equal(diagonal, 0), tf.ones_like(diagonal), diagonal))


def on_diagonal(x, X):
    """The diagonal matrix of x_j x_jj, for x real, [..., n], and X, [..., n, n]."""
    return masked(_is_diagonal(X, 0), as_columns(tf.cast(x, X.dtype)) * X)


def starts(S):
    """[..., n]: true at the first row of each 2 x 2 block. Always false for complex dtypes."""
    if S.dtype.is_complex:
        return tf.zeros_like(tf.linalg.diag_part(S), dtype=tf.bool)
    return tf.not_equal(below(tf.stop_gradient(S)), 0)


def balanced(S, T, differentiable=True):
    """[p rho, q; r, s / rho] for each block [p q; r s] of S, with rho = sqrt(d / a) for T's block diag(a, d).

    Its eigenvalues are the block's alpha where beta is sqrt(a d). Returns the four entries, rho and beta, each [..., n]; where
    no block starts these are of an arbitrary block with complex eigenvalues, so that derivatives stay finite there.
    """
    if differentiable:
        s_diagonal, t_diagonal = tf.linalg.diag_part(S), tf.linalg.diag_part(T)
        entries = s_diagonal, above(S), below(S), following(s_diagonal), t_diagonal, following(t_diagonal)
        p, q, r, s, a, d = _in_blocks(starts(S), *entries)
    else:
        p, q, r, s, a, d = _block_entries(S, T)[1:]
    rho = tf.sqrt(d / a)
    return p * rho, q, r, s / rho, rho, tf.sqrt(a) * tf.sqrt(d)


def _block_entries(S, T):
    """Where blocks start, and p, q, r, s, a, d, without a derivative."""
    (p, q, r, s), (a, _, _, d) = bands_of_both(S, T)
    start = tf.not_equal(r, 0)
    return start, *_in_blocks(start, p, q, r, s, a, d)


def _in_blocks(start, *entries):
    """p, q, r, s, a, d where a block starts, and elsewhere those of [1 1; -1 1] and diag(1, 1)."""
    return [tf.where(start, x, tf.fill(tf.shape(x), tf.cast(otherwise, x.dtype))) for x, otherwise in zip(entries, (1, 1, -1, 1, 1, 1))]


def imaginary_part(p, q, r, s):
    """sqrt(-q r - ((p - s) / 2)^2), the imaginary part of the eigenvalues of [p q; r s], as a product: squares overflow."""
    outer = tf.sqrt(tf.abs(q)) * tf.sqrt(tf.abs(r))
    inner = tf.abs(p - s) / 2
    return tf.sqrt(tf.maximum(outer - inner, 0)) * tf.sqrt(outer + inner)


class BlockDiagonal(NamedTuple):
    """A matrix D of 1 x 1 and 2 x 2 diagonal blocks by its entries, each [..., n]."""

    diagonal: tf.Tensor  # d_jj
    right: tf.Tensor  # d_{j,j+1}, 0 at the end
    left: tf.Tensor  # d_{j,j-1}, 0 at the beginning
    over: tf.Tensor  # d_{j-1,j}, 0 at the beginning
    under: tf.Tensor  # d_{j+1,j}, 0 at the end

    def adjoint(self):
        diagonal, right, left, over, under = map(tf.math.conj, self)
        return BlockDiagonal(diagonal, right=under, left=over, over=left, under=right)

    def rows(self, X):
        """D X."""
        return as_columns(self.diagonal) * X + as_columns(self.right) * roll(X, -1, -2) + as_columns(self.left) * roll(X, 1, -2)

    def columns(self, X):
        """X D."""
        return X * as_rows(self.diagonal) + roll(X, 1, -1) * as_rows(self.over) + roll(X, -1, -1) * as_rows(self.under)


def rotations(angle):
    """The BlockDiagonal of [cos -sin; sin cos] for angle_j at (j, j + 1); 0 where no block starts."""
    cosine, sine = tf.cos(angle), tf.sin(angle)
    second = preceding(sine)
    diagonal = tf.where(tf.not_equal(second, 0), preceding(cosine), cosine)
    return BlockDiagonal(diagonal, right=-sine, left=second, over=-second, under=sine)


def triangularize(S, T):
    """G and H in one tensor [2, ..., n, n], block diagonal unitary matrices such that G^H S H and G^H T H are upper triangular: a complex
    QZ of each block. Without a derivative."""
    return from_columns(*triangularizing_columns(S, T))


def triangularizing_columns(S, T):
    """The blocks [c -conj(s); s c] of `triangularize`, [2, ..., n] each: c_j of both rows and, at the first, s_j; c_j = 1 in no block.

    The balanced block [p q; r s] with eigenvalues x +- iy has q r < 0, (p - s)^2 / 4 + y^2 = -q r and the eigenvector v with
    |v_1|^2 : |v_2|^2 = |q| : |r|, in which v_2 / v_1 has the phase of (-(p - s) / 2 + iy) / q. The first column of a block of H is the
    direction of diag(sqrt(rho), 1 / sqrt(rho)) v, that of G the direction of T h and S h, diag(1 / sqrt(rho), sqrt(rho)) v.
    """
    start, p, q, r, s, a, d = _block_entries(S, T)
    second = preceding(start)
    of_G = tf.reshape([True, False], tf.concat([[2], tf.ones([_rank(p)], tf.int32)], axis=0))
    # Of moduli further apart the smaller one is nothing, and its square must not be infinite.
    ratio, root = tf.minimum(tf.abs(q / r), q.dtype.max**0.5), tf.sqrt(a / d)
    squares = tf.where(of_G, ratio * root * root, ratio / root / root)  # of the first entry's modulus over the second one's
    size = 2 * tf.sqrt(tf.abs(q)) * tf.sqrt(tf.abs(r))
    # To where rounding leaves no imaginary part the phase is right.
    real = tf.clip_by_value((s * root - p / root) / size, -1, 1)
    imaginary = tf.sqrt((1 - real) * (1 + real))
    # Divisions and square roots come last: XLA computes again what is cheaper, in all that uses it.
    first = squares / (1 + squares)
    c = tf.sqrt(tf.where(start, first, tf.where(second, preceding(first), tf.ones_like(first))))
    length = tf.sqrt(1 + squares) * tf.sign(q)
    return to_complex(c), tf.complex(*(masked(start, x) / length for x in (real, imaginary)))


def from_columns(c, s):
    """The block diagonal matrices of blocks [c -conj(s); s c]: by one gather, which XLA does not compute again where it is used."""
    n = tf.shape(c)[-1]
    i = tf.range(n)
    row, column = tf.meshgrid(i, i, indexing="ij")
    entry = tf.clip_by_value(tf.where(tf.abs(row - column) <= 1, row - column + 1, 3), 0, 3)
    entries = tf.concat([-tf.math.conj(s), c, s, tf.zeros_like(c)], axis=-1)
    return tf.gather(entries, entry * n + tf.minimum(row, column), axis=-1)


def roll(x, shift, axis):
    """x moved by `shift` places along an axis counted from the end, with zeros behind it.

    Not by tf.roll: XLA makes a loop of its own of each, and fuses a padded slice into whatever uses it. And vectorised by
    tf.vectorized_map or tape.jacobian, TensorFlow 2.21 takes tf.roll's negative axis for another one.
    """
    places = abs(shift)
    before, after = (places, 0) if shift > 0 else (0, places)
    # Padded first: what is cut off then is there for n = 0 too, and neither takes a size read off a tensor. Not by tf.slice, whose gradient
    # in a graph for XLA has none itself.
    kept = slice(None, -places) if shift > 0 else slice(places, None)
    moved = _padded(x, before, after, axis)[(..., kept, *[slice(None)] * (-1 - axis))]
    moved.set_shape(x.shape)
    return moved


def _padded(x, before, after, axis):
    """x with zeros before and after along an axis."""
    if x.shape.rank is None:
        return tf.pad(x, tf.one_hot(tf.rank(x) + axis, tf.rank(x), dtype=tf.int32)[:, None] * [before, after])
    paddings = [[0, 0]] * x.shape.rank
    paddings[axis] = [before, after]
    return tf.pad(x, paddings)


def _rank(x):
    """The number of dimensions, an int or a tensor."""
    return tf.rank(x) if x.shape.rank is None else x.shape.rank


def skew(G):
    """G - G^H, [..., n, n]."""
    return G - tf.linalg.adjoint(G)


def identity_like(X):
    """Identity matrices, [..., n, n]."""
    # Not tf.eye, which takes several times as long eagerly.
    return tf.linalg.diag(tf.ones(X.shape[:-1] if X.shape.is_fully_defined() else tf.shape(X)[:-1], X.dtype))
