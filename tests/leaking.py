"""Run by test_leaks.py as a program: `python leaking.py CALLS NAME...` calls functions of every_call.py so often, and prints a line of JSON
about each: by how many bytes a call the process grew, once it was warm."""

import ctypes
import gc
import json
import math
import resource
import sys
from pathlib import Path

import every_call
import tensorflow as tf
from every_call import with_gradient

SIZES = range(3, 9)
CALLS = {n: every_call.calls(n) for n in SIZES}
for calls in CALLS.values():
    calls["control"] = tf.linalg.inv, calls["schur"][1]


def resident():
    """In bytes, without what malloc keeps for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def growth(call, count):
    """Bytes for each of so many calls, after twice as many: caches of TensorFlow's fill in the first hundreds. The least of up to three
    times, since other threads and malloc take some memory once."""
    for i in range(2 * count):
        call(i)
    least = math.inf
    for _ in range(3):
        before = resident()
        for i in range(count):
            call(i)
        least = min(least, (resident() - before) / count)
        if least <= 0:
            break
    return least


def in_graph(name):
    """Calls of one graph for all sizes, which change from one to the next."""
    (f, xs), (_, others) = (CALLS[n][name] for n in SIZES[:2])
    specs = [tf.TensorSpec([k if k == other else None for k, other in zip(x.shape, y.shape)], x.dtype) for x, y in zip(xs, others)]
    graph = tf.function(lambda *xs: with_gradient(f)(*xs), input_signature=specs)
    return lambda i: graph(*CALLS[SIZES[i % len(SIZES)]][name][1])


def main():
    count = int(sys.argv[1])
    for name in sys.argv[2:] or CALLS[SIZES[0]]:
        f, xs = CALLS[5][name]
        result = {"name": name, "eager": growth(lambda _, f=f, xs=xs: with_gradient(f)(*xs), count), "graph": growth(in_graph(name), count)}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
