"""The tables: times against n and batch, the overhead of a call, what XLA compiles. Each function prints its table and returns its
rows, a list of dicts."""

import os

import memory as memory_
import numpy as np
import tensorflow as tf
import timing
import ways
from pencils import Pencils
from timing import duration

SIZES = 4, 8, 16, 32, 64, 100, 128, 200, 256, 400, 512, 1000
BATCHES = 1, 64, 4096
# For the figure, time against batch at one n.
CURVE_N, CURVE_BATCHES = 8, (1, 4, 16, 64, 256, 1024, 4096)
# Alternatives are left out where they can be expected to take more seconds a call than this.
LIMIT = {"quick": 0.5, "default": 1.0, "full": 60.0}
LARGEST_N = {"quick": 64, "default": 256, "full": 1000}
# Matrices of a pencil's size that are there at once.
MATRICES = {"forward": 20, "step": 80}
# Whose threads would disturb the others: pauses between them where they work that long.
PAUSE_FROM_N = 64


def table(*columns):
    print("\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")


def row(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def cases(settings):
    """(batch, n): as many as the mode and the machine's memory allow."""
    for batch in sorted({*BATCHES, *CURVE_BATCHES}):
        for n in SIZES:
            if batch not in BATCHES and n != CURVE_N:
                continue
            if n > settings.largest_n or batch * n**2 > settings.entries:
                continue
            if batch <= settings.largest_batch:
                yield batch, n


def times(settings):
    """Forward, and forward with backward ("step"), of all ways in turn. The last columns: NumPy's product of A and B, and how
    many of these tfqz's time is."""
    rows = []
    for measure, make in (("forward", ways.forward), ("step", ways.step)):
        for dtype in settings.dtypes:
            slow = {}  # work and time of each way's last case
            names = [*ways.MODES, ways.TORCH, ways.TF_EIG]
            names += [ways.SCIPY, ways.LAPACK, ways.PRODUCT] if measure == "forward" else []
            title = {"forward": "forward", "step": "forward + backward"}[measure]
            table(f"{title}, {dtype}: batch", "n", *names, *(["tfqz / product"] if measure == "forward" else []))
            for batch, n in cases(settings):
                pencils = Pencils(batch, n, dtype)
                if pencils.bytes(MATRICES[measure]) > available_memory() / 2:
                    continue
                made = {name: way for name, way in make(pencils).items() if wanted(name, measure, pencils, settings, slow)}
                if ways.EAGER not in made:
                    continue
                pause = timing.PAUSE if batch > 1 or n >= PAUSE_FROM_N else 0
                samples = timing.in_turn(made, settings.budget, pause)
                results = {name: timing.summary(taken) for name, taken in samples.items()}
                for name, taken in results.items():
                    slow[name] = work_of(pencils), taken["min"]
                    about = {"measure": measure, "dtype": dtype, "batch": batch, "n": n, "way": name}
                    rows.append(about | taken | {"over tfqz": timing.ratio(samples, name, ways.EAGER)})
                shown = [duration(results[name]["median"]) if name in results else "" for name in names]
                if measure == "forward":
                    tfqz, product = (results[name]["min"] for name in (ways.EAGER, ways.PRODUCT))  # medians jitter with threads
                    shown.append(f"{tfqz / product:.0f}")
                row(batch, n, *shown)
    return rows


def wanted(name, measure, pencils, settings, slow):
    if name == ways.XLA and not settings.full:
        return False  # compiles for seconds for each shape; `xla` has a table of its own
    if name == ways.GRAPH and pencils.batch not in BATCHES:
        return False  # traced for a second for each shape
    work, time = slow.get(name, (1, 0))
    loop = name == ways.SCIPY and pencils.batch > 1  # has its own limit
    return loop or time < settings.limit / 10 or time * work_of(pencils) / work <= settings.limit


def work_of(pencils):
    return pencils.batch * pencils.n**2 * max(pencils.n, 16)


def overhead(settings):
    """Of a call: batch 1, n = 4, eager, against TensorFlow's own decompositions of one matrix of the same size."""
    pencils = Pencils(1, 4, "float64")
    a, _b = pencils.tensors
    weights = pencils.cotangents
    real = tf.constant(pencils.eigen_cotangents[1])
    of_values = tf.constant(pencils.eigen_cotangents[0])

    def qr():
        with tf.GradientTape() as tape:
            tape.watch(a)
            factors = tf.linalg.qr(a)
        return tape.gradient(factors, a, output_gradients=weights[:2])

    def eig():
        with tf.GradientTape() as tape:
            tape.watch(a)
            values, vectors = tf.linalg.eig(a)
        return tape.gradient([values, vectors], a, output_gradients=[of_values, real * vectors])

    measured = {
        "forward": {
            "tfqz.qz": ways.forward_of_mode(pencils, ways.EAGER),
            "tf.linalg.qr": lambda: tf.linalg.qr(a),
            "tf.linalg.eig": lambda: tf.linalg.eig(a),
        },
        "forward + backward": {"tfqz.qz": ways.step_of_mode(pencils, ways.EAGER), "tf.linalg.qr": qr, "tf.linalg.eig": eig},
    }
    table("overhead, n = 4, eager", *measured["forward"], "tfqz / qr", "tfqz / eig")
    rows = []
    for measure, made in measured.items():
        samples = timing.in_turn(made, settings.budget)
        over = [timing.ratio(samples, "tfqz.qz", name) for name in ("tf.linalg.qr", "tf.linalg.eig")]
        row(measure, *(duration(np.median(taken)) for taken in samples.values()), *(f"{x:.2f}" for x in over))
        for name, taken in samples.items():
            rows.append({"measure": measure, "way": name} | timing.summary(taken))
    return rows


def xla(settings):
    """Compile and run time of the backward pass under XLA: first call less a later one, and later ones."""
    table("backward under XLA: dtype", "n", "first call less a later one", "run", "forward, run")
    rows = []
    for dtype in settings.dtypes:
        for n in (16, 32, 64, 128, 256, 512):
            if n > settings.largest_n or not (settings.full or n in (16, 128)):
                continue
            pencils = Pencils(1, n, dtype)
            both = {"backward": ways.gradient(pencils)[ways.XLA], "forward": ways.forward_of_mode(pencils, ways.XLA)}
            for way in both.values():  # the recorded forward pass is compiled first, off the clock
                timing.seconds(way if not isinstance(way, tuple) else way[0])
            first = timing.seconds(both["backward"])
            samples = timing.in_turn(both, settings.budget)
            compiled = first - np.median(samples["backward"])
            run, forward = (timing.summary(samples[name]) for name in ("backward", "forward"))
            row(dtype, n, duration(compiled), duration(run["median"]), duration(forward["median"]))
            rows.append({"dtype": dtype, "n": n, "compile": compiled, "run": run, "forward": forward})
    return rows


def memory(settings):
    """Peak extra memory of a backward pass."""
    table("peak memory of a backward pass: dtype", "n", "mode", "numbers / n^2")
    rows = []
    for dtype in settings.dtypes:
        for mode in (ways.EAGER, ways.GRAPH):
            n = min(settings.largest_n, 1000)
            numbers = memory_.numbers(n, dtype, mode)
            row(dtype, n, mode, f"{numbers:.1f}" if isinstance(numbers, float) else numbers)
            rows.append({"dtype": dtype, "n": n, "mode": mode, "numbers": numbers})
    return rows


def available_memory():
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
