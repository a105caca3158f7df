"""Times tfqz against what else a user could call, and holds it to its ratios: `make bench`, or

    python benchmarks/run.py [times] [overhead] [xla] [memory] [ratios] [--quick | --full]
    python benchmarks/run.py ratios --full         every ratio that is required, against its bound
    python benchmarks/run.py --draw FILE.json      the figure again, from a run's JSON

Prints tables, writes all of it to JSON (minimum and median of each time) and draws `benchmarks/times.png`. Without names of
tables it does all.

The method. All that is compared is timed in turn, A B C A B C ..., in one process, and ratios are medians of the ratios
within a turn (`timing.py`). The alternatives keep their own default threads (SciPy's OpenBLAS, torch, TensorFlow: all cores),
since that is what users have; tfqz's LAPACK, and the same LAPACK called in C, have one for each pencil. "torch eig(solve)"
and "TF eig(solve)" are the detour through eig(B^-1 A), which needs an invertible B and gives eigenvectors, with the gradient
of a function of eigenvalues and eigenvectors that knows nothing of phases. Backward passes start from given cotangents of the
factors. A loop over SciPy for a large batch is timed over a part of it.

torch, matplotlib and a C++ compiler are optional: a line says what is left out. Run it on an idle machine.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import environment

SECTIONS = "times", "overhead", "xla", "memory", "ratios"
DTYPES = "float32", "float64", "complex64", "complex128"
BUDGET = {"quick": 0.1, "default": 0.3, "full": 2.0}  # seconds for one comparison, beyond three turns
LARGEST_BATCH_ENTRIES = {"quick": 2**18, "default": 2**20, "full": 2**28}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="table", help=f"of {', '.join(SECTIONS)}; all by default")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quick", action="store_const", dest="mode", const="quick", help="n up to 64, few turns")
    mode.add_argument("--full", action="store_const", dest="mode", const="full", help="n up to 1000, all modes, float64 and complex128")
    parser.add_argument("--max-n", type=int, help="leave out larger n")
    parser.add_argument("--max-batch", type=int, default=4096, help="leave out larger batches")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="float64 by default; may be given more than once")
    parser.add_argument("--json", metavar="FILE", help="where the results go")
    parser.add_argument("--figure", metavar="FILE", default=str(Path(__file__).with_name("times.png")), help="'' for none")
    parser.add_argument("--draw", metavar="JSON", help="draw the figure from a run's JSON, and no more")
    settings = parser.parse_args()
    if unknown := set(settings.sections) - set(SECTIONS):
        parser.error(f"tables are {', '.join(SECTIONS)}; got {', '.join(sorted(unknown))}")
    if not settings.draw:
        environment.refuse_overrides()

    import measures
    import plots
    import ratios
    import tensorflow as tf
    import ways

    tf.get_logger().setLevel("ERROR")  # the gradient of a real matrix's eig drops an imaginary part of zero, and says so
    if settings.draw:
        return 0 if plots.draw(json.loads(Path(settings.draw).read_text()), settings.figure) else 1

    settings.mode = settings.mode or "default"
    settings.full = settings.mode == "full"
    settings.largest_n = settings.max_n or measures.LARGEST_N[settings.mode]
    settings.largest_batch = settings.max_batch
    settings.entries = LARGEST_BATCH_ENTRIES[settings.mode]
    settings.limit, settings.budget = measures.LIMIT[settings.mode], BUDGET[settings.mode]
    settings.dtypes = settings.dtype or ["float64", "complex128"][: 1 + settings.full]
    settings.simd = environment.simd()
    described = environment.describe()
    print(", ".join(f"{key} {value}" for key, value in described.items()))
    for line in ways.missing():
        print(line)
    results = {"environment": described, "settings": dict(vars(settings).items())}
    for name in settings.sections or SECTIONS:
        results[name] = ratios.ratios(settings) if name == "ratios" else getattr(measures, name)(settings)
        if settings.json:  # what there is, should the rest be interrupted
            Path(settings.json).write_text(json.dumps(results, indent=1) + "\n")
    if settings.figure and "times" in results:
        plots.draw(results, settings.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
