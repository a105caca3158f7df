"""`python -m fuzz_values [--seconds 60] [--seed 0] [--only words]`, with this folder's parent on PYTHONPATH.

Starts children, one after the other, that do the cases: one that ends by itself, or takes longer than a few minutes for a case, is a
failure too. The exit status is 1 if anything failed.
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time

from fuzz_values.report import Summary


def lines_of(child, lines):
    for line in child.stdout:
        lines.put(line)
    lines.put(None)


def follow(child, summary, patience):
    """The seed that comes next, from what a child says until it ends."""
    lines, seed, case = queue.Queue(), None, ""
    threading.Thread(target=lines_of, args=(child, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=patience)
        except queue.Empty:
            child.kill()
            child.wait()
            return seed, f"no answer within {patience} seconds", case
        if line is None:
            return seed, f"the process ended with status {child.wait()}", case
        if not line.startswith("{"):
            continue
        said = json.loads(line)
        if "start" in said:
            seed, case = said["start"], said["case"]
        elif "done" in said:
            summary.add(said["done"])
        elif "failure" in said:
            summary.add_failure(said["failure"], said["seed"], said["text"])
        elif "next" in said:
            child.wait()
            return said["next"], None, case


def run(seconds, seed, only, patience=300, shrinking=60):
    """A summary of as many cases as there is time for."""
    summary, end = Summary(), time.monotonic() + seconds
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    while (left := end - time.monotonic()) > 0:
        with tempfile.TemporaryFile("w+") as errors:
            command = [sys.executable, "-m", "fuzz_values.child", str(seed), str(left), only, str(shrinking)]
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
            last, problem, case = follow(child, summary, patience)
            if problem is not None:
                errors.seek(0)
                summary.add_failure(problem, last, f"seed {last}: {case}: {problem}\n{errors.read()[-3000:]}")
                if last is None:
                    break
                last += 1
            seed = last
    return summary


def main():
    parser = argparse.ArgumentParser(prog="fuzz_values")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the first case; the next ones have the next numbers")
    parser.add_argument("--only", default="", help="cases in whose description this stands: a call, a dtype, a structure")
    arguments = parser.parse_args()
    print(f"seeds from {arguments.seed} on, {arguments.seconds:g} seconds", flush=True)
    summary = run(arguments.seconds, arguments.seed, arguments.only)
    print(summary)
    sys.exit(1 if summary.failures else 0)


if __name__ == "__main__":
    main()
