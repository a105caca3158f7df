"""Run by test_leaks.py as a program: `python leaking.py CALLS NAME...` calls functions of every_call.py so often, and prints a line of JSON
about each: by how many bytes a call the process grew, once it was warm."""

import ctypes
import gc
import json
import resource
import sys
from pathlib import Path

import every_call
import tensorflow as tf
from every_call import with_gradient

CALLS = every_call.calls() | {"control": (tf.linalg.qr, every_call.calls()["schur"][1])}


def resident():
    """In bytes, without what malloc keeps for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def growth(call, count):
    """Bytes for each of so many calls, after half as many: of the last half of these, and of the whole."""
    sizes = []
    for part in range(3):
        for i in range(count // 2):
            call(part * (count // 2) + i)
        sizes.append(resident())
    return [(sizes[2] - size) / (count // 2) / parts for size, parts in ((sizes[1], 1), (sizes[0], 2))]


def main():
    count = int(sys.argv[1])
    for name in sys.argv[2:] or CALLS:
        f, xs = CALLS[name]
        call = with_gradient(f)
        print(json.dumps({"name": name, "eager": growth(lambda _: call(*xs), count)}), flush=True)


if __name__ == "__main__":
    main()
