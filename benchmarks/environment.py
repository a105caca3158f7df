"""What the figures depend on: the machine, the versions, and the variables that would spoil them."""

import os
import platform
import sys

OVERRIDES = "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"


def refuse_overrides():
    found = [name for name in OVERRIDES if name in os.environ]
    if found:
        sys.exit(f"{' and '.join(found)}: set in the environment, and would override OpenBLAS's choice of kernels; unset to measure")


def _cpu(key):
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith(key))
    except (OSError, StopIteration):
        return ""


def simd():
    """The width that the op library says it runs with, or else, what TFQZ_SIMD or the CPU lets expect."""
    from tfqz._backends import native

    for key, value in native.versions().items():
        if "simd" in key.lower():
            return str(value)
    flags = _cpu("flags").split()
    expected = os.environ.get("TFQZ_SIMD") or ("avx512" if "avx512f" in flags else "avx2" if "avx2" in flags else "baseline")
    return f"{expected} (expected; the op library doesn't say)"


def describe():
    import numpy as np
    import scipy
    import tensorflow as tf
    import ways

    import tfqz
    from tfqz._backends import native

    described = {
        "tfqz": tfqz.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "openblas": native.versions()["runs with scipy-openblas32"],
        "python": platform.python_version(),
        "cpu": _cpu("model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "simd": simd(),
        "threads": {
            "tensorflow": [tf.config.threading.get_intra_op_parallelism_threads(), tf.config.threading.get_inter_op_parallelism_threads()],
            "variables": {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")},
        },
        "load": os.getloadavg()[0],
    }
    if ways.torch:
        described["torch"] = ways.torch.__version__
        described["threads"]["torch"] = ways.torch.get_num_threads()
    return described
