"""Triangular factors of adjoints: with J, which turns the order round, J X^H J is upper triangular where X is."""

import tensorflow as tf


def adjoint_schur(S, U):
    """Schur factors of A^H from those of A."""
    return adjoint(S), columns(U)


def adjoint_pencil(S, T, Q, Z):
    """Factors of the adjoint pencil from those of a pencil."""
    return adjoint(S), adjoint(T), columns(Z), columns(Q)


def adjoint(X):
    """J X^H J."""
    # Not by a slice, which takes twice as long.
    return tf.reverse(tf.linalg.adjoint(X), _last_axes(X, 2))


def columns(X):
    """X J."""
    return tf.reverse(X, _last_axes(X, 1))


def _last_axes(X, count):
    """The last axes, counted from the front: tf.vectorized_map takes those counted from the end for other ones."""
    rank = tf.rank(X) if X.shape.rank is None else X.shape.rank
    return [rank - 1 - i for i in range(count)]
