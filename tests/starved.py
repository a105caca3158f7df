"""Run by test_out_of_memory.py as a program, with tests/starved.cc preloaded: `python starved.py NAME...` calls each function while fewer
and fewer of the allocations are granted that tfqz's libraries ask for, and prints a line of JSON about each."""

import ctypes
import json
import resource
import signal
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

import tfqz

RNG = np.random.default_rng(0)


def pencil(*shape):
    return [tf.constant(x) for x in RNG.standard_normal((2, *shape))]


LIBRARY = ctypes.CDLL(None)


def outcomes(call, *arguments):
    """Of calls that get 0, 1, 2 ... allocations, until one gets all that it asks for."""
    expected = [x.numpy() for x in tf.nest.flatten(call(*arguments))]
    raised, granted, again = {}, 0, 0
    while True:
        LIBRARY.starve(granted)
        try:
            found = call(*arguments)
        except Exception as error:
            asked, name = LIBRARY.starve(-1), type(error).__name__
            raised[name] = raised.get(name, 0) + 1
            raised.setdefault("text", str(error)[:300])
        else:
            asked = LIBRARY.starve(-1)
            if asked <= granted:
                break
            raised["nothing"] = raised.get("nothing", 0) + 1
        # Late ones cost as much as the whole.
        granted += 1 if granted < 40 else granted // 8
        again = call(*arguments) if granted % 16 == 0 else again
    same = all(np.array_equal(x, y, equal_nan=True) for x, y in zip(expected, [x.numpy() for x in tf.nest.flatten(found)]))
    return {"raised": raised, "granted": granted, "same": same}


def with_gradient(f):
    def call(*xs):
        with tf.GradientTape() as tape:
            tape.watch(xs)
            values = [x for x in tf.nest.flatten(f(*xs)) if x.dtype.is_floating or x.dtype.is_complex]
        return values, tape.gradient(values, xs)

    return call


def qz():
    return outcomes(tfqz.qz, *pencil(40, 40))


def batch():
    return outcomes(tfqz.qz, *pencil(100, 6, 6))


def forked():
    return outcomes(with_gradient(tfqz.qz), *pencil(150, 150))


def forked_rectangular():
    return outcomes(with_gradient(tfqz.qz), *pencil(90, 100))


def apart():
    """By LAPACK in a thread of its own."""
    return outcomes(tfqz.schur, pencil(400, 400)[0])


def order():
    return outcomes(with_gradient(lambda a, b: tfqz.ordqz(a, b, "lhp")), *pencil(20, 9, 9))


def vectors():
    return outcomes(with_gradient(tfqz.eig), *pencil(3, 12, 12))


def subspace():
    return outcomes(with_gradient(lambda a, b: tfqz.deflating_subspace(a, b, "lhp")), *pencil(8, 8))


def rank():
    return outcomes(with_gradient(lambda a, b: tfqz.qz(a, b, rank=3)), *pencil(5, 7))


def balance():
    return outcomes(with_gradient(lambda a, b: tfqz.eigvals(a, b, balance=True)), *pencil(30, 5, 5))


def function():
    return outcomes(tf.function(with_gradient(tfqz.qz)), *pencil(40, 40))


def jit():
    def several(a, b):
        return tfqz.qz(a, b), tfqz.ordqz(a, b, "lhp"), tfqz.schur(a), tfqz.qz(a[:3], b[:3]), tfqz.qz(a, b, rank=3)

    return outcomes(tf.function(several, jit_compile=True), *pencil(5, 5))


def jit_forked():
    return outcomes(tf.function(tfqz.qz, jit_compile=True), *pencil(150, 150))


def threads():
    """None to be had for what is done apart, with memory and without."""
    a, _ = pencil(400, 400)
    expected = tfqz.schur(a)
    LIBRARY.refuse_threads(1)
    result = outcomes(tfqz.schur, a)
    LIBRARY.refuse_threads(0)
    return result | {"same": result["same"] and np.array_equal(expected.t, tfqz.schur(a).t)}


def granted(room):
    """Nothing beyond so many bytes more, by the system's own limit; None: no limit."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = resource.RLIM_INFINITY if room is None else pages * resource.getpagesize() + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def crowd():
    """More threads than OpenBLAS has buffers for, and no room for another one."""
    tf.config.threading.set_intra_op_parallelism_threads(8)
    tfqz.qz(*pencil(80, 80))  # alone
    same = True
    for arguments in (pencil(16, 80, 80), pencil(200, 200)):
        gradient = with_gradient(tfqz.qz)
        granted(24 << 20)
        found = gradient(*arguments)
        granted(None)
        same = same and all(np.array_equal(x, y) for x, y in zip(*map(tf.nest.flatten, (found, gradient(*arguments)))))
    return {"same": same}


def address_space():
    """The system's own limit instead of the preloaded library's: room for some of what an op works in."""
    calls = {
        "qz": (tfqz.qz, pencil(350, 350)),
        "batch": (tfqz.qz, pencil(40, 60, 60)),
        "schur": (lambda a, _: tfqz.schur(a), pencil(350, 350)),
        "gradient": (with_gradient(tfqz.qz), pencil(200, 200)),
        "jit": (tf.function(tfqz.qz, jit_compile=True), pencil(200, 200)),
    }
    raised, same = {}, True
    for call, arguments in calls.values():
        expected = [x.numpy() for x in tf.nest.flatten(call(*arguments))]
        for room in range(0, 30 << 20, 3 << 18):
            granted(room)
            try:
                found = call(*arguments)
            except Exception as error:
                raised[type(error).__name__] = raised.get(type(error).__name__, 0) + 1
            else:
                raised["nothing"] = raised.get("nothing", 0) + 1
            finally:
                granted(None)
        same = same and all(np.array_equal(x, y) for x, y in zip(expected, [x.numpy() for x in tf.nest.flatten(found)]))
    return {"raised": raised, "same": same}


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what takes long is done as where it may be interrupted
    for name in sys.argv[1:]:
        print(json.dumps({"name": name} | globals()[name]()), flush=True)
