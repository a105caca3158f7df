"""Peak extra memory of a backward pass, in numbers of its dtype for each entry of a pencil's matrix (multiples of n^2).

    python benchmarks/memory.py N DTYPE MODE

prints it, measured in this process by Linux: the highest resident set while the gradient of a recorded forward pass is
computed (its results are among it), minus the resident set before. Every large allocation is made a mapping of its own, which
goes back to the system as soon as it is freed, so that the resident set is what is in use. The largest of three passes
counts, after one that traces the functions.
"""

import os
import subprocess
import sys
from pathlib import Path

# Not above this size do glibc's allocations share a heap.
SETTINGS = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_MMAP_MAX_": "1000000"}


def numbers(n, dtype, mode):
    """The measurement in a process of its own, or the reason why there is none, as text."""
    done = subprocess.run([sys.executable, __file__, str(n), dtype, mode], capture_output=True, text=True, env=os.environ | SETTINGS)
    try:
        return float(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return (done.stderr.strip().splitlines() or ["no output"])[-1]


def status(key):
    """Bytes, from Linux's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))


def main(n, dtype, mode):
    import numpy as np
    import ways
    from pencils import Pencils

    def once(n):
        pencils = Pencils(1, n, dtype)
        prepare, run = ways.gradient(pencils)[mode]
        assert pencils.cotangents  # made before memory is measured
        recorded = prepare()
        before = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the highest resident set starts from here
        gradients = run(recorded)
        peak = status("VmHWM")
        assert all(np.isfinite(x).all() for x in gradients)
        return (peak - before) / (n * n * np.dtype(dtype).itemsize)

    once(n)
    print(max(once(n) for _ in range(3)))


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
