"""Compiles the core for aarch64 by a cross compiler, and runs its tests under qemu.

    python release/aarch64.py [--folder build/aarch64]

Needs `aarch64-linux-gnu-g++` and `qemu-aarch64` (Debian: g++-aarch64-linux-gnu, qemu-user) and pip, which brings TensorFlow and OpenBLAS
for aarch64. The op library is compiled against the former and linked, and not run.
"""

import argparse
import concurrent.futures
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILER, EMULATOR, SYSTEM = "aarch64-linux-gnu-g++", "qemu-aarch64", "/usr/aarch64-linux-gnu"
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")
EXTERNAL = ("highwayhash", "farmhash_archive/src", "com_google_highway", "highway")  # as setup.py
LARGEST_RESIDUAL = 30  # over n eps, as tests/test_core.py


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build/aarch64", help="where everything goes; %(default)s")
    folder = parser.parse_args().folder.resolve()
    for tool in (COMPILER, EMULATOR):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} must be installed")
    folder.mkdir(parents=True, exist_ok=True)
    include = wheel_of("tensorflow", folder, "tensorflow/include/*", "tensorflow/libtensorflow*") / "tensorflow/include"
    libraries = wheel_of("scipy-openblas32", folder, "scipy_openblas32/lib/*") / "scipy_openblas32/lib"
    external = [f"-isystem{path}" for name in EXTERNAL if (path := include / "external" / name).exists()]
    flags = ["-std=c++17", "-O2", "-Wall", "-Wno-psabi", "-DNDEBUG", "-fPIC", "-fvisibility=hidden", f"-I{ROOT / 'cc'}", *external]
    core = [path for name in ("pencil", "vectors", "algorithms") for path in sorted((ROOT / "cc" / name).glob("*.cc"))]
    ops = sorted((ROOT / "cc/ops").glob("*.cc"))
    test = ROOT / "tests/core_test.cc"
    jobs = [(path, flags) for path in core] + [(test, [*flags, "-DLAPACK"])]
    jobs += [(path, [*flags, "-O1", f"-isystem{include}", "-DEIGEN_MAX_ALIGN_BYTES=64"]) for path in ops]
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("MAX_JOBS", os.cpu_count()))) as pool:
        objects = dict(zip((path for path, _ in jobs), pool.map(lambda job: compile_one(*job, folder), jobs)))
    blas = [f"-L{libraries}", "-lscipy_openblas", f"-Wl,-rpath,{libraries}"]
    program, shared = folder / "core_test", folder / "libtfqz_core.so"
    run(COMPILER, *(objects[path] for path in [*core, test]), "-o", program, *blas)
    run(COMPILER, "-shared", *(objects[path] for path in core), "-o", shared, *blas, "-Wl,-z,defs")
    tensorflow = [f"-L{include.parent}", "-l:libtensorflow_framework.so.2", "-l:libtensorflow_cc.so.2"]
    run(COMPILER, "-shared", *(objects[path] for path in ops), "-o", folder / "libtfqz_tf.so", shared, *tensorflow, "-Wl,-z,defs")
    print(f"compiled and linked: {len(core)} files of the core, {len(ops)} of the ops")

    # OpenBLAS's kernels for SVE err under qemu, whose own processor has it.
    emulated = [EMULATOR, "-cpu", "cortex-a72", "-L", SYSTEM, "-E", f"LD_LIBRARY_PATH={libraries}"]
    refusal = run(*emulated, "-E", "TFQZ_SIMD=?", program).stdout
    if "must be one of 'baseline', 'none' on this machine" not in refusal:
        raise SystemExit(f"vectors of 128 bits must decompose rightly; the check that chooses them said\n{refusal}")
    for simd in ("baseline", "none"):
        lines = run(*emulated, "-E", f"TFQZ_SIMD={simd}", program).stdout.splitlines()
        worst = max(float(re.search(r"residual: (.*)", line).group(1)) for line in lines)
        print(f"{simd}: {len(lines)} checks, the largest residual {worst:.1f} (below {LARGEST_RESIDUAL})")
        if not worst < LARGEST_RESIDUAL:
            return 1
    return 0


def compile_one(path, flags, folder):
    to = folder / f"{path.stem}.o"
    run(COMPILER, *flags, "-c", path, "-o", to)
    return to


def wheel_of(requirement, folder, *patterns):
    """A folder with the files, of those patterns, of its wheel for aarch64."""
    to = folder / requirement
    if not to.exists():
        platforms = [f"--platform={name}" for name in PLATFORMS]
        run(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", *platforms, "-d", folder / "wheels", requirement)
        (wheel,) = (folder / "wheels").glob(f"{requirement.replace('-', '_')}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
            archive.extractall(to, names)
    return to


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done


if __name__ == "__main__":
    sys.exit(main())
