"""Functions of several matrices: their derivatives by TensorFlow, in all ways, and by differences."""

import numpy as np
import tensorflow as tf
from functionals import deviates, inner


def gradients(f, xs):
    """Of the real scalar f(*xs): a list of tensors."""
    xs = [tf.convert_to_tensor(x) for x in xs]
    with tf.GradientTape() as tape:
        tape.watch(xs)
        value = f(*xs)
    return tape.gradient(value, xs)


def difference(f, xs, moves, h=2.0**-12):
    """The derivative of f, a function of NumPy arrays, along `moves`, with an error of h^4: Richardson's central difference."""

    def odd(h):
        forward, backward = (f(*(x + sign * h * dx for x, dx in zip(xs, moves))) for sign in (1, -1))
        return np.asarray(forward) - np.asarray(backward)

    return (8 * odd(h) - odd(2 * h)) / (12 * h)


def like(rng, xs):
    """Normal deviates of the same shapes and dtypes."""
    return [deviates(rng, np.shape(x), x.dtype) for x in xs]


def along(f, moves):
    """The function x -> <grad f(x), moves>, by a tape."""
    return lambda *xs: inner(moves, gradients(f, xs))


def second_derivatives(f, xs, moves):
    """The second derivative of f along `moves` twice: by a tape over a tape, an accumulator over a tape, and a tape over an accumulator."""
    tensors, moves = ([tf.constant(x) for x in each] for each in (xs, moves))
    reverse = inner(moves, gradients(along(f, moves), tensors))
    with tf.autodiff.ForwardAccumulator(tensors, moves) as accumulator:
        value = along(f, moves)(*tensors)
    mixed = accumulator.jvp(value)

    def forward(*xs):
        with tf.autodiff.ForwardAccumulator(list(xs), moves) as accumulator:
            value = f(*xs)
        return accumulator.jvp(value)

    return [float(reverse), float(mixed), float(inner(moves, gradients(forward, tensors)))]


def first_derivatives(f, xs, moves):
    """The derivative of f along `moves`: by a tape, by an accumulator."""
    tensors, moves = ([tf.constant(x) for x in each] for each in (xs, moves))
    with tf.autodiff.ForwardAccumulator(tensors, moves) as accumulator:
        value = f(*tensors)
    return [float(inner(moves, gradients(f, tensors))), float(accumulator.jvp(value))]
