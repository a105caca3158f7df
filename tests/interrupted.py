"""Run by test_interrupts.py as a program: `python interrupted.py NAME...` interrupts long calls by SIGINT, or cancels them, and prints a
line of JSON about each."""

import ctypes
import json
import os
import signal
import sys
import threading
import time

import numpy as np
import tensorflow as tf

import tfqz

RNG = np.random.default_rng(0)


def pencil(*shape):
    return [tf.constant(x) for x in RNG.standard_normal((2, *shape))]


def installed():
    """The address of the handler of SIGINT."""
    action = (ctypes.c_void_p * 64)()
    assert ctypes.CDLL(None).sigaction(signal.SIGINT, None, action) == 0
    return action[0]


class Later:
    """Sends SIGINT, or does something else, after a while, and notes when, and which handler there was."""

    def __init__(self, seconds, do=lambda: os.kill(os.getpid(), signal.SIGINT)):
        self.seconds, self.do = seconds, do
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        time.sleep(self.seconds)
        self.handler, self.time = installed(), time.perf_counter()
        self.do()


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def outcome(call, do=None):
    """Of a call that is ended after a fifth of what it takes as a whole."""
    before, whole = installed(), seconds(call)
    sender = Later(whole / 5) if do is None else Later(whole / 5, do)
    raised, text = None, ""
    try:
        call()
        time.sleep(0.1)  # where a signal would show
    except BaseException as error:
        end = time.perf_counter()
        raised, text = type(error).__name__, str(error)
    else:
        end = time.perf_counter()
    sender.thread.join()
    # The process works, and a signal does now what it did before.
    s = tfqz.qz(np.diag([1.0, 2.0, 3.0]), np.eye(3)).s
    again = False
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
    except KeyboardInterrupt:
        again = True
    return {
        "raised": raised,
        "text": text[:300],
        "whole": whole,
        "after": end - sender.time,
        "right": bool(np.allclose(np.sort(np.diag(s)), [1, 2, 3])),
        "noticed": sender.handler != before,
        "put_back": installed() == before,
        "again": again,
    }


def eager():
    a, b = pencil(700, 700)
    return outcome(lambda: tfqz.qz(a, b))


def large():
    """Its LAPACK call is still running when the program ends; the whole is not waited for."""
    a, b = pencil(2000, 2000)
    Later(1)
    try:
        tfqz.qz(a, b)
    except KeyboardInterrupt as error:
        return {"raised": type(error).__name__}
    return {"raised": None}


def batch():
    a, b = pencil(400, 100, 100)
    return outcome(lambda: tfqz.qz(a, b))


def schur():
    a, _ = pencil(900, 900)
    return outcome(lambda: tfqz.schur(a))


def gradient():
    a, b = pencil(900, 900)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([a, b])
        f = tf.add_n([tf.reduce_sum(x) for x in tfqz.qz(a, b)])
    return outcome(lambda: tape.gradient(f, [a, b]))


def solver():
    a, b = pencil(250, 250)
    eye = tf.eye(250, dtype=tf.float64)
    return outcome(lambda: tfqz.solve_continuous_are(a, b, eye, eye))


def function():
    a, b = pencil(700, 700)
    f = tf.function(tfqz.qz)
    f(*pencil(700, 700))
    return outcome(lambda: f(a, b))


def jit():
    a, b = pencil(700, 700)
    f = tf.function(tfqz.qz, jit_compile=True)
    f(*pencil(700, 700))
    return outcome(lambda: f(a, b))


def own_handler():
    """One that doesn't raise: it is called, and the op still ends."""
    a, b = pencil(700, 700)
    calls = []
    former = signal.signal(signal.SIGINT, lambda *_: calls.append(1))
    result = outcome(lambda: tfqz.qz(a, b))
    signal.signal(signal.SIGINT, former)
    return result | {"calls": len(calls)}


def ignored():
    """SIGINT does nothing where the program wants that."""
    a, b = pencil(500, 500)
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    result = outcome(lambda: tfqz.qz(a, b))
    signal.signal(signal.SIGINT, former)
    return result


def cancelled():
    """By TensorFlow."""
    from tensorflow.python.eager import cancellation

    a, b = pencil(700, 700)
    concrete = tf.function(tfqz.qz).get_concrete_function(a, b)
    managers = []

    def call():
        managers.append(cancellation.CancellationManager())
        managers[-1].get_cancelable_function(concrete)(a, b)

    return outcome(call, do=lambda: managers[-1].start_cancel())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    for name in sys.argv[1:]:
        print(json.dumps({"name": name} | globals()[name]()), flush=True)
