"""Matrices [batch, count * size, count * size] cut into blocks, [batch, I, J, size, size], and into strips of blocks.

Row strip I is [size, count * size], column strip J is [count * size, size]; strips stack along axis 1. All sizes are read
off the arguments: inside a while loop a size that came from outside is no constant to XLA, where the graph was made for
unknown shapes.
"""

import tensorflow as tf


def cut(x, count, size):
    """The blocks of a matrix."""
    blocks = tf.reshape(x, [tf.shape(x)[0], count, size, count, size])
    return tf.transpose(blocks, [0, 1, 3, 2, 4])


def rows(blocks):
    """[batch, count, size, count * size]."""
    batch, count, _, size, _ = tf.unstack(tf.shape(blocks))
    return tf.reshape(tf.transpose(blocks, [0, 1, 3, 2, 4]), [batch, count, size, count * size])


def columns(blocks):
    """[batch, count, count * size, size]."""
    batch, count, _, size, _ = tf.unstack(tf.shape(blocks))
    return tf.reshape(tf.transpose(blocks, [0, 2, 1, 3, 4]), [batch, count, count * size, size])


def from_rows(strips):
    """The matrix of row strips."""
    batch, count, size, _ = tf.unstack(tf.shape(strips))
    return tf.reshape(strips, [batch, count * size, count * size])


def from_columns(strips):
    """The matrix of column strips."""
    batch, count, _, size = tf.unstack(tf.shape(strips))
    return tf.reshape(tf.transpose(strips, [0, 2, 1, 3]), [batch, count * size, count * size])


def shift(strips, d):
    """Strip J = I - d at place I, cyclic."""
    return tf.roll(strips, d, axis=1)


def subdiagonal(blocks, d):
    """The blocks (I, I - d), cyclic: [batch, count, size, size]. Those above the diagonal have the solution 0."""
    batch, count, _, size, _ = tf.unstack(tf.shape(blocks))
    row = tf.range(count)
    blocks = tf.reshape(blocks, [batch, count * count, size, size])
    return tf.gather(blocks, row * count + (row - d) % count, axis=1)


def place_in_rows(strips, blocks, d):
    """Row strips with `blocks` at (I, I - d)."""
    batch, count, size, _ = tf.unstack(tf.shape(blocks))
    row = tf.range(count)
    here = tf.equal(row[None, :], (row[:, None] - d) % count)
    split = tf.reshape(strips, [batch, count, size, count, size])
    return tf.reshape(tf.where(here[:, None, :, None], blocks[:, :, :, None, :], split), tf.shape(strips))


def place_in_columns(strips, blocks, d):
    """Column strips with `blocks` at (I, I - d)."""
    batch, count, size, _ = tf.unstack(tf.shape(blocks))
    row = tf.range(count)
    here = tf.equal(row[None, :], (row[:, None] + d) % count)
    split = tf.reshape(strips, [batch, count, count, size, size])
    split = tf.where(here[:, :, None, None], shift(blocks, -d)[:, :, None, :, :], split)
    return tf.reshape(split, tf.shape(strips))


def skew(blocks):
    """The element subdiagonals of each block, cyclic, as its columns: element (i, i - c) at (i, size - 1 - c % size)."""
    size = tf.shape(blocks)[-1]
    # Two copies side by side: with one entry more in a row, row i moves left by i.
    return _rows_of_length(tf.concat([blocks, blocks], axis=-1), 2 * size + 1)[..., 1 : size + 1]


def unskew(skewed):
    """The blocks that `skew` was applied to."""
    size = tf.shape(skewed)[-1]
    return _rows_of_length(tf.concat([skewed, skewed], axis=-1), 2 * size - 1)[..., size - 1 :]


def _rows_of_length(blocks, length):
    """The entries of each block, row after row, in as many rows of another length, and over again where there are none left."""
    shape = tf.shape(blocks)
    rows, entries = shape[-2], shape[-2] * shape[-1]
    blocks = tf.reshape(blocks, tf.concat([shape[:-2], [entries]], axis=0))
    blocks = tf.concat([blocks, blocks], axis=-1)[..., : rows * length]
    return tf.reshape(blocks, tf.concat([shape[:-1], [length]], axis=0))


def skewed_entries(skewed, c):
    """The elements (i, i - c), cyclic: [batch, count, size]."""
    size = tf.shape(skewed)[-1]
    return tf.gather(skewed, size - 1 - c % size, axis=-1)


def place_skewed_entries(skewed, entries, where, c):
    """Skewed blocks with `entries` at (i, i - c) for those i that `where`, [size], is true for."""
    size = tf.shape(skewed)[-1]
    here = where[:, None] & tf.equal(tf.range(size), size - 1 - c % size)
    return tf.where(here, entries[..., None], skewed)


def skewed_product(entries, skewed, c):
    """The skewed product of blocks that have nothing but `entries` at (i, i - c), 0 for those outside, and `skewed` ones."""
    return entries[..., None] * tf.roll(skewed, [c, -c], axis=[2, 3])
