"""Run by test_forks.py as a program: `python forking.py unused` or `used` forks itself, before it has called anything or after, and prints
which calls end in the child, a line of JSON for each."""

import functools
import json
import multiprocessing
import os
import signal
import sys
import threading
import time

import numpy as np
import tensorflow as tf

import tfqz

RNG = np.random.default_rng(0)
PATIENCE = 60  # seconds, for calls that take a few at most


def gradient(*pair):
    xs = [tf.constant(x) for x in pair]
    with tf.GradientTape() as tape:
        tape.watch(xs)
        values = tfqz.qz(*xs)
    return tape.gradient(values, xs)


def pair(*shape):
    return RNG.standard_normal((2, *shape))


CALLS = {
    "one": (tfqz.qz, pair(8, 8)),
    "large": (tfqz.qz, pair(150, 150)),  # shared by two threads
    "batch": (tfqz.qz, pair(200, 30, 30)),
    "gradient": (gradient, pair(150, 150)),
    "apart": (lambda a, _: tfqz.schur(a), pair(420, 420)),  # LAPACK in a thread of its own
    "rectangular": (tfqz.qz, pair(90, 100)),
    "order": (lambda a, b: tfqz.ordqz(a, b, "lhp"), pair(3, 8, 8)),
    "eigvals": (tfqz.eigvals, pair(8, 8)),
}
CALLS |= {"jit": (tf.function(tfqz.qz, jit_compile=True), pair(8, 8))}
WITH_THREADS = {"function": (tf.function(tfqz.qz), pair(8, 8)), "scipy": (functools.partial(tfqz.eigvals, backend="scipy"), pair(8, 8))}


def in_child(work):
    """What a child returned, or None if it had to be killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            os._exit(status)
    for _ in range(PATIENCE * 50):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def arrays(call, arguments):
    return [x.numpy() for x in tf.nest.flatten(call(*arguments))]


def equal(name, expected):
    found = arrays(*CALLS[name])
    return all(np.array_equal(x, y) for x, y in zip(found, expected)) if expected else all(np.isfinite(x).all() for x in found)


def eigenvalues(x):
    return tfqz.eigvals(x, np.eye(len(x))).numpy()


def keep_calling(stop):
    while not stop.is_set():
        tfqz.qz(*pair(300, 300))


def interrupted():
    """SIGINT raises in a child as it does elsewhere, also where another thread was in the middle of a call."""
    a, b = pair(300, 300)

    def work():
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        try:
            for _ in range(200):
                tfqz.qz(a, b)
        except KeyboardInterrupt:
            return True
        return False

    return in_child(work)


def main(used):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    expected = {name: arrays(*call) if used else None for name, call in CALLS.items()}
    results = {name: in_child(lambda name=name: equal(name, expected[name])) for name in CALLS}
    if not used:
        results |= {name: in_child(lambda call=call: arrays(*call)) for name, call in WITH_THREADS.items()}
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.map_async(eigenvalues, [np.diag([1.0, 2, 3])] * 4).get(PATIENCE)
        results["pool"] = 0 if np.allclose(np.sort(np.real(found), axis=-1), [1, 2, 3]) else 2
    else:
        stop = threading.Event()
        busy = threading.Thread(target=keep_calling, args=[stop])
        busy.start()
        time.sleep(0.3)
        results["interrupted"] = interrupted()
        stop.set()
        busy.join()
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1] == "used")
