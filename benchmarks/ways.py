"""The ways to a decomposition that are timed: `tfqz` in three modes, and what a user could call instead.

    forward(pencils), step(pencils)    {name: function} of the decomposition, and of it with its gradient by A and B
    gradient(pencils)                  {name: (record, gradient)}, the gradient alone, of tfqz

Nobody's number of threads is touched: SciPy, NumPy and torch have what they take by themselves, as users have them. LAPACK in C has one,
as inside tfqz.
"""

import functools
import math

import floor
import numpy as np
import scipy.linalg
import tensorflow as tf
from timing import seconds

import tfqz

try:
    import torch
except ImportError:
    torch = None

EAGER, GRAPH, XLA = MODES = "tfqz", "tfqz, tf.function", "tfqz, XLA"
SCIPY, LAPACK, TORCH, TF_EIG, PRODUCT = "SciPy", "LAPACK in C", "torch eig(solve)", "TF eig(solve)", "product"

# Beyond these seconds a loop is run for a part of the batch, and its time multiplied up: it has no other cost than that of its rounds.
LONGEST_LOOP = 0.5


def missing():
    """What is left out, and why: lines to print."""
    lines = [] if torch else [f"no {TORCH!r}: torch is not installed"]
    return lines + ([f"no {LAPACK!r}: {floor.why_not()}"] if floor.why_not() else [])


@functools.cache
def modes():
    """tfqz's functions by mode."""

    def qz(a, b):
        return tfqz.qz(a, b, backend="native")

    return {EAGER: qz, GRAPH: tf.function(qz, autograph=False), XLA: tf.function(qz, autograph=False, jit_compile=True)}


def forward_of_mode(pencils, mode):
    f = modes()[mode]
    return lambda: f(*pencils.tensors)


@functools.cache
def step_function(mode):
    qz = modes()[EAGER]

    def both(a, b, cotangents):
        return gradient_of(*record(qz, a, b), cotangents)

    return both if mode == EAGER else tf.function(both, autograph=False, jit_compile=mode == XLA)


def step_of_mode(pencils, mode):
    f = step_function(mode)
    return lambda: f(*pencils.tensors, pencils.cotangents)


def forward(pencils):
    a, b = pencils.tensors
    ways = {mode: forward_of_mode(pencils, mode) for mode in MODES}
    ways[SCIPY] = scipy_loop(pencils)
    if pencils.batch == 1 and floor.why_not() is None:
        ways[LAPACK] = floor.best(pencils)
    if torch:
        ways[TORCH] = torch_eig(pencils)
    ways[TF_EIG] = lambda: tf.linalg.eig(tf.linalg.solve(b, a))
    ways[PRODUCT] = lambda: np.matmul(pencils.a, pencils.b)
    return ways


def step(pencils):
    ways = {mode: step_of_mode(pencils, mode) for mode in MODES}
    if torch:
        ways[TORCH] = torch_eig(pencils, gradients=True)
    ways[TF_EIG] = tensorflow_eig_step(pencils)
    return ways


def gradient(pencils):
    """The forward pass is recorded off the clock, each time anew; a function's backward pass is then a function of its own."""
    return {
        name: (lambda f=f: record(f, *pencils.tensors), lambda recorded: gradient_of(*recorded, pencils.cotangents))
        for name, f in modes().items()
    }


def record(f, a, b):
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        factors = f(a, b)
    return tape, factors, a, b


def gradient_of(tape, factors, a, b, cotangents):
    return tape.gradient(factors, [a, b], output_gradients=cotangents)


def scipy_loop(pencils):
    if pencils.batch == 1:
        return lambda: scipy.linalg.qz(pencils.a, pencils.b)

    def run(count):
        return [scipy.linalg.qz(x, y) for x, y in zip(pencils.a[:count], pencils.b[:count])]

    run(1)
    count = math.ceil(LONGEST_LOOP / seconds(lambda: run(8)) * 8)
    count = min(count, pencils.batch)
    loop = functools.partial(run, count)
    loop.share = count / pencils.batch
    return loop


def torch_eig(pencils, gradients=False):
    a, b = (torch.from_numpy(x).requires_grad_(gradients) for x in (pencils.a, pencils.b))
    if not gradients:
        return lambda: torch.linalg.eig(torch.linalg.solve(b, a))
    of_values, weights = (torch.from_numpy(x) for x in pencils.eigen_cotangents)

    def run():
        values, vectors = torch.linalg.eig(torch.linalg.solve(b, a))
        return torch.autograd.grad([values, vectors], [a, b], [of_values, weights * vectors.detach()])

    return run


def tensorflow_eig_step(pencils):
    a, b = pencils.tensors
    of_values, weights = (tf.constant(x) for x in pencils.eigen_cotangents)

    def run():
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            values, vectors = tf.linalg.eig(tf.linalg.solve(b, a))
        return tape.gradient([values, vectors], [a, b], output_gradients=[of_values, weights * vectors])

    return run
