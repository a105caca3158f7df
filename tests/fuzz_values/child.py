"""The process that does the cases, one after the other, and says in lines of JSON what it begins and what came out."""

import faulthandler
import json
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path

from fuzz_values import configurations, measure, report, shrink

MOST = 5 * 2**30  # bytes in memory, after which a new process takes over: TensorFlow keeps what it has traced


def in_memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def say(**what):
    print(json.dumps(what), flush=True)


def done(case, measured):
    c = case.configuration
    structure = case.structure if case.a.shape[1] == case.a.shape[2] else f"{case.structure} (m x n)"
    return {
        "seed": case.seed,
        "call": c.call,
        "dtype": str(case.a.dtype),
        "structure": structure,
        "variant": list(c.variants),
        "check": list(c.checks),
        "notes": dict(measured.notes),
        "ratios": [[variant, name, ratio] for (variant, name), ratio in measured.ratios.items()],
    }


def explained(case, measured, seen, seconds):
    """[(kind, text)] of the failures of a case; the first of each kind is made smaller."""
    found = []
    for name in dict.fromkeys(name for _, name in measured.failures()):
        variants = [variant for variant, other in measured.failures() if other == name]
        kind = f"{case.configuration.call}: {name}: {variants[0].split()[0]}"
        text = f"seed {case.seed}: {case}: {name} in {variants}: {max(measured.ratios[v, name] for v in variants)}; {measured.messages[:1]}"
        if kind not in seen:
            seen.add(kind)
            small = shrink.Shrinking(case.configuration, case.a, case.b, name, seconds).run()
            failures = measure.failures(*small)
            text += report.as_test(case.seed, *small, failures, case)
        found.append((kind, text))
    return found


def main(first, seconds, only, shrinking):
    faulthandler.enable()
    warnings.simplefilter("ignore")  # of NumPy about what leaves the range, here and in SciPy
    end, widths, seen = time.monotonic() + seconds, measure.widths(), set()
    seed = first
    while time.monotonic() < end and in_memory() < MOST:
        case = configurations.case(seed, widths)
        if only in str(case):
            say(start=seed, case=str(case))
            try:
                measured = measure.measure(case.configuration, case.a, case.b)
                say(done=done(case, measured))
                for kind, text in explained(case, measured, seen, shrinking):
                    say(failure=kind, seed=seed, text=text)
            except Exception:
                say(failure="the fuzzer itself", seed=seed, text=f"seed {seed}: {case}\n{traceback.format_exc()}")
        seed += 1
    say(next=seed)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
