"""Compiles the core for aarch64 by a cross compiler, and runs its tests under qemu.

    python release/aarch64.py [--folder build/aarch64]

Needs `aarch64-linux-gnu-g++` and `qemu-aarch64` (Debian: g++-aarch64-linux-gnu, qemu-user), pip, and a TensorFlow with Highway's headers.
Of the ops' side, which TensorFlow's library for aarch64 is needed to link, only the compilation is tried.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILER, EMULATOR, SYSTEM = "aarch64-linux-gnu-g++", "qemu-aarch64", "/usr/aarch64-linux-gnu"
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")
LARGEST_RESIDUAL = 30  # over n eps, as tests/test_core.py


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build/aarch64", help="where everything goes; %(default)s")
    folder = parser.parse_args().folder.resolve()
    for tool in (COMPILER, EMULATOR):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} must be installed")
    folder.mkdir(parents=True, exist_ok=True)
    import tensorflow as tf

    include = Path(tf.sysconfig.get_include())
    external = [
        f"-isystem{include / 'external' / name}" for name in ("com_google_highway", "highway", "highwayhash", "farmhash_archive/src")
    ]
    flags = ["-std=c++17", "-O2", "-Wall", "-Wno-psabi", "-DNDEBUG", "-fPIC", f"-I{ROOT / 'cc'}", *external]
    core = [path for name in ("pencil", "vectors", "algorithms") for path in sorted((ROOT / "cc" / name).glob("*.cc"))]
    ops = sorted((ROOT / "cc/ops").glob("*.cc"))
    of_tensorflow = [flag.replace("-I", "-isystem", 1) for flag in tf.sysconfig.get_compile_flags()]
    jobs = [(path, flags) for path in core]
    jobs += [(ROOT / "tests/core_test.cc", [*flags, "-DLAPACK"])] + [(path, [*flags, *of_tensorflow, "-fsyntax-only"]) for path in ops]
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("MAX_JOBS", os.cpu_count()))) as pool:
        objects = list(pool.map(lambda job: compile_one(*job, folder), jobs))[: len(core) + 1]
    print(f"{len(core)} files of the core and the test compile, and {len(ops)} of the ops")

    libraries = openblas(folder)
    program = folder / "core_test"
    run(COMPILER, *objects, "-o", program, f"-L{libraries}", "-lscipy_openblas", f"-Wl,-rpath,{libraries}")
    for simd in ("baseline", "none"):
        command = [EMULATOR, "-L", SYSTEM, "-E", f"TFQZ_SIMD={simd}", "-E", f"LD_LIBRARY_PATH={libraries}", program]
        lines = run(*command).stdout.splitlines()
        worst = max(float(re.search(r"residual: (.*)", line).group(1)) for line in lines)
        print(f"TFQZ_SIMD={simd}: {len(lines)} checks, the largest residual {worst:.1f} (below {LARGEST_RESIDUAL})")
        if worst >= LARGEST_RESIDUAL:
            return 1
    return 0


def compile_one(path, flags, folder):
    to = folder / f"{path.stem}.o"
    run(COMPILER, *flags, "-c", path, "-o", to)
    return to


def openblas(folder):
    """The folder of the library, out of the wheel for aarch64."""
    platforms = [f"--platform={name}" for name in PLATFORMS]
    run(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", *platforms, "-d", folder, "scipy-openblas32")
    wheel = max(folder.glob("scipy_openblas32*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder / "scipy_openblas32/lib"


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done


if __name__ == "__main__":
    sys.exit(main())
