"""Blocks of rows and columns of quasi-triangular matrices that cut no 2 x 2 diagonal block in two.

Block I of `rows` rows ends where a 2 x 2 block may begin. So each has room for one row more, its first: the last row of the block
before if a 2 x 2 block begins with it, else nothing, and nothing stands at that row's place then in the block before. Where nothing
stands matrices have zeros; `windows.cut` makes such a matrix, [..., count * size, count * size], and `windows.join` takes it back.
"""

from typing import NamedTuple

import tensorflow as tf

from tfqz._form import blocks


class Windows(NamedTuple):
    """`count` blocks of `size` rows each."""

    count: tf.Tensor
    size: tf.Tensor
    row: tf.Tensor  # [count * size], of the matrix, at each place
    kept: tf.Tensor  # [batch, count * size]: or nothing stands there
    position: tf.Tensor  # [batch, n], of each row of the matrix

    def cut(self, x):
        """[2, batch, count * size, count * size] of [2, batch, n, n]."""
        n = tf.shape(x)[-1]
        x = tf.gather(blocks.flattened(x), self.row[:, None] * n + self.row, axis=-1)
        return blocks.masked(self.kept[:, :, None] & self.kept[:, None, :], x)

    def cut_vectors(self, x):
        """[..., batch, count, size] of [..., batch, n]."""
        x = blocks.masked(self.kept, tf.gather(x, self.row, axis=-1))
        return tf.reshape(x, tf.concat([tf.shape(x)[:-1], [self.count, self.size]], axis=0))

    def diagonal_blocks(self, x):
        """[2, batch, count, size, size] of [2, batch, count * size, count * size]."""
        i = tf.reshape(tf.range(self.count * self.size), [self.count, self.size])
        return tf.gather(blocks.flattened(x), i[:, :, None] * (self.count * self.size) + i[:, None, :], axis=-1)

    def join(self, x):
        """[batch, n, n] of [batch, count * size, count * size]."""
        x = tf.gather(x, self.position, axis=1, batch_dims=1)
        return tf.gather(x, self.position, axis=2, batch_dims=1)


def of(starts, rows):
    """Windows for 2 x 2 blocks that begin at `starts`, [batch, n]."""
    n = tf.shape(starts)[-1]
    count = (n + rows - 1) // rows
    extra = tf.where(count > 1, 1, 0)
    size = rows + extra
    block, place = tf.meshgrid(tf.range(count), tf.range(size), indexing="ij")
    row, place = tf.reshape(block * rows + place - extra, [-1]), tf.reshape(place, [-1])
    inside = (row >= 0) & (row < n)
    row = tf.clip_by_value(row, 0, tf.maximum(n - 1, 0))
    i = tf.range(n)
    moves = starts & tf.equal(i % rows, rows - 1) & (extra > 0)
    kept = inside & tf.equal(tf.gather(moves, row, axis=1), place < extra)
    return Windows(count, size, row, kept, i + i // rows * extra + extra + tf.cast(moves, tf.int32))
