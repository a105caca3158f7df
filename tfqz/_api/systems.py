"""What functions of several matrices have in common: their arguments, and elements of a batch that fail."""

import functools

import tensorflow as tf

from tfqz._backends import graph
from tfqz._derivative import failed
from tfqz._form import checks
from tfqz._form.traces import traced


def arguments(matrices, sizes, backend, on_failure):
    """The matrices with one batch shape, a list, None for None, and which elements are finite in all of them, [...].

    Args:
      matrices, sizes: as for `checks.system`.
      backend: one of `_backends`.
      on_failure: "raise" for an error about the first element of an argument that isn't finite, or "nan".
    """
    given = checks.system(matrices, sizes)
    tensors = _of_one_batch(given, sizes)
    names = [name for name, x in given.items() if x is not None]
    problems = _first_not_finite(*(x for x in tensors if x is not None))
    problems = told(problems, problems, [checks.FINITE.replace("{name}", name) for name in names], backend, on_failure)
    return tensors, tf.equal(problems, 0)


def told(problems, got, texts, backend, on_failure):
    """`problems`, [...], int32, numbers of texts, from 1, or 0; with an error about the first element that has the first one of these,
    where one shall and can be raised. `got`: [...], int32, what it is about."""
    if on_failure == "raise" and not (tf.executing_eagerly() and not tf.reduce_any(problems > 0)):
        for number, text in enumerate(texts, start=1):
            failing = backend.check(tf.equal(problems, number), got, text)
            problems = tf.where(failing, number, problems)  # the check is part of what follows
    return problems


def _of_one_batch(given, sizes):
    """The tensors, or None, of the dict, with the batch shape to which theirs broadcast."""
    shapes = [x.shape for x in given.values() if x is not None]
    if all(shape.is_fully_defined() for shape in shapes):
        batch = functools.reduce(tf.broadcast_static_shape, (shape[:-2] for shape in shapes)).as_list()
        whole = [x if x is None else [*batch, *checks.inner(x.shape)] for x in given.values()]
        return [x if x is None or x.shape == shape else tf.broadcast_to(x, shape) for x, shape in zip(given.values(), whole)]
    with tf.control_dependencies(graph.system_assertions(given, sizes)):
        given = {name: x if x is None else tf.identity(x) for name, x in given.items()}
    batch = functools.reduce(tf.broadcast_dynamic_shape, (tf.shape(x)[:-2] for x in given.values() if x is not None))
    tensors = []
    for x in given.values():
        if x is not None:
            inner = checks.inner(x.shape)
            x = tf.broadcast_to(x, tf.concat([batch, tf.shape(x)[-2:]], axis=0))
            if x.shape.rank is not None:
                x.set_shape(x.shape[:-2].concatenate(inner))
        tensors.append(x)
    return tensors


@traced
def _first_not_finite(*matrices):
    """[...], int32: the number, from 1, of the first matrix that has NaN or Inf, or 0."""
    problems = tf.zeros(tf.shape(matrices[0])[:-2], tf.int32)
    for number, X in reversed(list(enumerate(matrices, start=1))):
        # NaN and Inf make NaN of 0, in either part of a complex number.
        sums = tf.reduce_sum(tf.abs(X * 0), axis=[-2, -1])
        problems = tf.where(tf.equal(sums, 0), problems, number)
    return problems


def matrix_of(*rows):
    """The matrix, [..., m, n], of rows of blocks."""
    return tf.concat([tf.concat(row, axis=-1) for row in rows], axis=-2)


def isolated(good, *matrices):
    """The matrices, square ones, with the identity for the elements that are not `good`, [...]."""
    if failed.known_to_be_all(good):
        return matrices
    return tuple(tf.where(good[..., None, None], X, failed.columns_of_identity(X)) for X in matrices)


def check(backend, on_failure, good, text):
    """A function that takes how much of something an element has, [...], int32, and returns which elements fail for having any, or for not
    being `good`: with an error of that `text` about the first one of the former, where one shall and can be raised."""

    def failing(count):
        has_some = count > 0
        if on_failure == "raise":
            has_some = backend.check(has_some, count, text)
        return has_some | ~good

    return failing
