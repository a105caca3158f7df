"""Threads of Python that call everything at once get what one gets by itself, to the last bit."""

import threading

import every_call
import numpy as np
import pytest
import tensorflow as tf
from every_call import arrays, same, with_gradient

import tfqz
from tfqz import _backends

THREADS = 8
CALLS = every_call.calls()
FAST = {"qz", "qz, a batch", "qz, complex", "qz, wide", "ordqz", "eigvals", "schur"}

pytestmark = pytest.mark.skipif(_backends.native.why_not() is not None, reason="TensorFlow's and SciPy's threads")


def together(jobs, rounds):
    """Does all jobs in each of some threads, each in an order of its own, and returns the names of those whose results aren't those that
    they gave before."""
    expected = {name: arrays(job()) for name, job in jobs.items()}
    names, barrier, wrong = list(jobs), threading.Barrier(THREADS), []

    def work(thread):
        barrier.wait()
        for round in range(rounds):
            for name in np.random.default_rng([thread, round]).permutation(names):
                try:
                    if not same(arrays(jobs[name]()), expected[name]):
                        wrong.append(str(name))
                except Exception as error:
                    wrong.append(f"{name}: {error}")

    threads = [threading.Thread(target=work, args=[i]) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_every_function():
    public = {name for name in tfqz.__all__ if name.islower()}
    assert public <= {name.split(",")[0] for name in CALLS}


@pytest.mark.parametrize("names", [FAST, pytest.param(sorted(CALLS.keys() - FAST), marks=pytest.mark.slow)], ids=["factors", "the others"])
def test_eager(names):
    jobs = {name: lambda f=CALLS[name][0], xs=CALLS[name][1]: with_gradient(f)(*xs) for name in names}
    assert together(jobs, rounds=3) == []


@pytest.mark.slow
def test_graphs():
    """The same graphs in all threads, and one that each of them traces by itself."""
    graphs = {name: tf.function(with_gradient(f)) for name, (f, _) in CALLS.items()}
    jobs = {name: lambda name=name: graphs[name](*CALLS[name][1]) for name in CALLS}
    jobs["traced"] = lambda: tf.function(with_gradient(tfqz.qz))(*CALLS["qz"][1])
    assert together(jobs, rounds=3) == []


def test_large(rng):
    """Two of TensorFlow's threads work on one pencil; its columns reach down to denormals, which those threads flush otherwise."""
    scales = 2.0 ** -np.linspace(0, 1060, 150)
    pencil = [tf.constant(x * scales) for x in rng.standard_normal((2, 150, 150))]
    batch = [tf.constant(x) for x in rng.standard_normal((2, 30, 40, 40))]
    jobs = {"one": lambda: tfqz.qz(*pencil), "gradient": lambda: with_gradient(tfqz.qz)(*pencil), "batch": lambda: tfqz.qz(*batch)}
    assert together(jobs, rounds=3) == []
