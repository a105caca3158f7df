"""Coverage-guided fuzzing of the core, by clang's libFuzzer under AddressSanitizer and UBSan: tests/core_fuzz.cc.

    python tests/core_fuzzing.py [--seconds 60] [--only TARGET ...]

Each target begins with the inputs of tests/data/core_fuzz.zip and what earlier runs found, in build/core_fuzz. What fails is written there
as well; `core_fuzz TARGET FILE`, in the same folder, runs it again. Prints a line for each target, and ends with 1 if anything failed.
"""

import argparse
import os
import re
import subprocess
import sys
import zipfile

from core_build import IN_VECTORS, OTHERS, ROOT, compile_all, link

TARGETS = ("qz", "reorder", "schur", "iteration", "gradient", "triangular", "frames")
STORED = ROOT / "tests/data/core_fuzz.zip"
COMPILER = os.environ.get("CLANGXX", "clang++")
COVERAGE = "-fsanitize=fuzzer-no-link"
COMMON = ("-g1", "-Wno-bitwise-instead-of-logical")  # masks of plain numbers are bool
SANITIZERS = (*COMMON, "-fno-sanitize-recover=all", "-fsanitize=address,undefined")
# Seconds for one input, and bytes: what takes longer hangs, and more bytes say nothing new.
LONGEST, LARGEST = 60, 2048


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each target; %(default)s")
    parser.add_argument("--only", nargs="+", default=TARGETS, choices=TARGETS, metavar="TARGET", help=" ".join(TARGETS))
    parser.add_argument("--store", action="store_true", help="put the smallest inputs that reach as much into tests/data/core_fuzz.zip")
    parser.add_argument("--largest", type=int, default=40, help="how many of a target are stored; %(default)s")
    options = parser.parse_args()
    folder = ROOT / "build/core_fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    program = build(folder)
    failed = [target for target in options.only if not fuzz(program, target, options.seconds, folder)]
    if options.store:
        store(program, options.only, options.largest, folder)
    return 1 if failed else 0


def build(folder):
    """The fuzzer, and a program that reads files. Vectors without UBSan, with which they take minutes; what looks at results, and takes
    longer than what computes them, without any."""
    driver = [ROOT / "tests/core_fuzz.cc"]
    core = compile_all(folder, OTHERS, *SANITIZERS, COVERAGE, compiler=COMPILER)
    core += compile_all(folder, IN_VECTORS, *COMMON, "-fsanitize=address", COVERAGE, compiler=COMPILER)
    reading, fuzzing = (
        compile_all(folder, driver, *COMMON, "-O2", flag, compiler=COMPILER) for flag in ("-UTFQZ_LIBFUZZER", "-DTFQZ_LIBFUZZER")
    )
    link(folder / "core_fuzz", SANITIZERS[-1], [*reading, *core], COMPILER)
    return link(folder / "fuzzer", "-fsanitize=fuzzer,address,undefined", [*fuzzing, *core], COMPILER)


def fuzz(program, target, seconds, folder):
    """Whether nothing failed."""
    found, stored, failures = (folder / name / target for name in ("found", "stored", "failures"))
    for path in (found, stored, failures):
        path.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(STORED) as archive:
        archive.extractall(folder / "stored", [name for name in archive.namelist() if name.startswith(f"{target}/")])
    limits = [f"-max_total_time={seconds}", f"-timeout={LONGEST}", f"-max_len={LARGEST}", "-rss_limit_mb=4096", "-print_final_stats=1"]
    command = [program, *limits, f"-artifact_prefix={failures}/", found, stored]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", env=environment(target))
    runs, seeds = (re.findall(pattern, done.stderr) for pattern in (r"executed_units: *(\d+)", r"cov: (\d+) ft: (\d+) corp: (\d+)"))
    edges, _, inputs = seeds[-1] if seeds else (0, 0, 0)
    print(f"{target}: {runs[-1] if runs else '?'} inputs run, {edges} edges reached by {inputs}", flush=True)
    if done.returncode:
        print(f"{done.stderr[-6000:]}\n{target} failed; its input is in {failures}", flush=True)
    return done.returncode == 0


def store(program, targets, largest, folder):
    """The smallest ones that reach as much, or the first of these: libFuzzer puts them in order of size."""
    kept = {}
    with zipfile.ZipFile(STORED) as archive:
        kept |= {name: archive.read(name) for name in archive.namelist() if name.split("/")[0] not in targets}
    for target in targets:
        smallest = folder / "smallest" / target
        subprocess.run(["rm", "-rf", smallest], check=True)
        smallest.mkdir(parents=True)
        command = [program, "-merge=1", f"-max_len={LARGEST}", smallest, folder / "stored" / target, folder / "found" / target]
        subprocess.run(command, check=True, capture_output=True, env=environment(target))
        paths = spread(sorted(smallest.iterdir(), key=lambda path: (path.stat().st_size, path.name)), largest)
        kept |= {f"{target}/{path.name[:8]}": path.read_bytes() for path in paths}
    with zipfile.ZipFile(STORED, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(kept):
            archive.writestr(zipfile.ZipInfo(name), kept[name], zipfile.ZIP_DEFLATED)


def spread(paths, most):
    """Of all sizes, if there are too many."""
    if len(paths) <= most:
        return paths
    return [paths[i * (len(paths) - 1) // (most - 1)] for i in range(most)]


def environment(target):
    # Which vectors, the program chooses for each input. Leaks are looked for where the stored inputs run, in test_core.py.
    return {name: value for name, value in os.environ.items() if name != "TFQZ_SIMD"} | {
        "TFQZ_TARGET": target,
        "ASAN_OPTIONS": "detect_leaks=0",
    }


if __name__ == "__main__":
    sys.exit(main())
