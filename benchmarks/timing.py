"""Times in turn, A B C A B C ..., in one process: shared machines drift, and ratios within a turn don't.

What is timed is a function without arguments, or a pair (prepare, run): `run(prepare())` with the clock on for `run` alone. A function with
an attribute `share` does that part of the work only, and its time is multiplied up.

 - A turn calls each alternative as often as fills a millisecond, so that what takes microseconds is seen above the clock and the
   jitter of the scheduler.
 - Thread pools go on spinning for a while after they worked (OpenBLAS's for some 30 ms, OpenMP's too), and would take a core from
   whoever comes next. Where alternatives have pools of their own, `pause` seconds go by before each, and one call off the clock
   after that brings caches and threads back.
"""

import math
import statistics
import time

SHORTEST = 1e-3
PAUSE = 0.05
LONG = 2.0  # seconds of a first call that isn't repeated before the turns begin


def seconds(way, calls=1):
    """Mean of some calls."""
    prepare, run = way if isinstance(way, tuple) else (None, way)
    total = 0.0
    for _ in range(calls):
        argument = (prepare(),) if prepare else ()
        start = time.perf_counter()
        run(*argument)
        total += time.perf_counter() - start
    return total / max(calls, 1) / getattr(way, "share", 1)


def in_turn(ways, budget, pause=0.0, least=3, most=51):
    """{name: seconds of each turn} for {name: way}, of an odd number of turns that takes about `budget` seconds."""
    once = {}
    for name, way in ways.items():
        first = seconds(way)  # traces, compiles, touches memory
        once[name] = first if first > LONG else seconds(way)
    calls = {name: max(1, math.ceil(SHORTEST / t)) for name, t in once.items()}
    pause = pause if len(ways) > 1 else 0.0
    warm = {name: 1 if pause and once[name] < PAUSE else 0 for name in ways}  # calls off the clock in a turn
    turn = sum(pause + once[name] * (calls[name] + warm[name]) * getattr(way, "share", 1) for name, way in ways.items())
    turns = int(min(max(budget / turn, least), most)) | 1
    samples = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            if pause:
                time.sleep(pause)
                seconds(way, warm[name])
            samples[name].append(seconds(way, calls[name]))
    return samples


def ratio(samples, numerator, denominator):
    """The median over the turns."""
    return statistics.median(x / y for x, y in zip(samples[numerator], samples[denominator]))


def summary(samples):
    return {"median": statistics.median(samples), "min": min(samples), "turns": len(samples)}


def duration(t):
    for scale, unit, digits in ((1e-3, "us", 1e6), (1.0, "ms", 1e3), (math.inf, "s", 1.0)):
        if t < scale:
            return f"{t * digits:.3g} {unit}" if t * digits < 1000 else f"{t * digits:.0f} {unit}"
