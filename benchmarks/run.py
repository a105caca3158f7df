"""Times `tfqz.qz` against what else a user could call. `make bench`, or `python benchmarks/run.py [--quick] [--large] [--json FILE]`.

Every row is a ratio of two medians, measured in turn (A B A B ...) in one process: shared machines drift, ratios don't.

 - forward: `tfqz.qz` on the backend `native` in eager code, against a Python loop over `scipy.linalg.qz`, which keeps the
   threads of its own OpenBLAS as users have them;
 - backward: forward and gradient of a linear functional of all four factors inside `tf.function`, over the forward pass alone.

Unset OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE: they override OpenBLAS's choice of kernels.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import scipy
import scipy.linalg
import tensorflow as tf

import tfqz

FORWARD = [(1000, 4), (1000, 8), (1000, 16), (200, 32), *((1, n) for n in (4, 8, 16, 32, 64, 100, 128, 200, 256))]
FORWARD_LARGE = [(1, 400), (1, 512), (1, 1000)]
BACKWARD = [(1000, 8), (200, 32), *((1, n) for n in (16, 32, 64, 100, 128, 200, 256))]
BACKWARD_LARGE = [(1, 400), (1, 512)]


def pencil(batch, n, dtype):
    rng = np.random.default_rng(n)
    shape = (2, batch, n, n)
    x = rng.standard_normal(shape)
    if dtype == "complex128":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def forward(batch, n, dtype):
    """tfqz, and the loop over SciPy."""
    a, b = pencil(batch, n, dtype)
    a_tensor, b_tensor = tf.constant(a), tf.constant(b)
    return (
        lambda: tfqz.qz(a_tensor, b_tensor, backend="native"),
        lambda: [scipy.linalg.qz(x, y) for x, y in zip(a, b)],
    )


def backward(batch, n, dtype):
    """Forward and gradient, and forward alone."""
    a, b = (tf.constant(x) for x in pencil(batch, n, dtype))
    weights = [tf.constant(x) for x in np.concatenate([pencil(batch, n, dtype), pencil(batch, n, dtype)])]

    @tf.function
    def both(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            factors = tfqz.qz(a, b, backend="native")
            value = tf.add_n([tf.reduce_sum(tf.math.real(w * x)) for w, x in zip(weights, factors)])
        return tape.gradient(value, [a, b])

    alone = tf.function(lambda a, b: tfqz.qz(a, b, backend="native"))
    return lambda: both(a, b), lambda: alone(a, b)


def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def in_turn(f, g, budget):
    """Seconds of `f` and of `g`, alternating, after a first call of each, for about `budget` seconds."""
    once = seconds(f) + seconds(g)
    once = min(once, seconds(f) + seconds(g))
    repeats = int(min(max(budget / once, 3), 51)) | 1
    return tuple(zip(*((seconds(f), seconds(g)) for _ in range(repeats))))


def duration(x):
    return f"{x * 1e6:.0f} us" if x < 1e-3 else f"{x * 1e3:.2f} ms" if x < 1 else f"{x:.2f} s"


# name, what it makes, its sizes, further sizes, the columns, and the ratio that the last one shows
MEASURES = [
    ("forward", forward, FORWARD, FORWARD_LARGE, ("tfqz", "SciPy", "SciPy / tfqz"), lambda f, g: g / f),
    ("backward", backward, BACKWARD, BACKWARD_LARGE, ("with gradient", "forward", "backward / forward"), lambda f, g: f / g - 1),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the time, noisier")
    parser.add_argument("--large", action="store_true", help="n up to 1000 too; SciPy takes seconds there")
    parser.add_argument("--dtype", choices=["float64", "complex128"], action="append")
    parser.add_argument("--json", metavar="FILE", help="writes every sample's minimum and median")
    arguments = parser.parse_args()
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        if name in os.environ:
            print(f"{name} is set and overrides OpenBLAS's choice of kernels: unset it", file=sys.stderr)
    versions = f"TensorFlow {tf.__version__}, SciPy {scipy.__version__}, {os.cpu_count()} cores, {processor()}"
    print(f"tfqz {tfqz.__version__}, {versions}")
    results = []
    for measure, make, sizes, large, columns, ratio in MEASURES:
        for dtype in arguments.dtype or ["float64", "complex128"]:
            print(f"\n| {measure}, {dtype}: batch | n | " + " | ".join(columns) + " |")
            print("|---" * (2 + len(columns)) + "|")
            for batch, n in sizes + (large if arguments.large else []):
                samples = in_turn(*make(batch, n, dtype), budget=0.2 if arguments.quick else 1.0)
                medians = [statistics.median(x) for x in samples]
                shown = statistics.median(ratio(f, g) for f, g in zip(*samples))
                print(f"| {batch} | {n} | {duration(medians[0])} | {duration(medians[1])} | {shown:.2f} |", flush=True)
                minima = [min(x) for x in samples]
                results.append(
                    {"measure": measure, "dtype": dtype, "batch": batch, "n": n, "ratio": shown}
                    | {"columns": columns[:2], "median": medians, "min": minima, "repeats": len(samples[0])}
                )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"versions": versions, "results": results}, file, indent=1)


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


if __name__ == "__main__":
    main()
