"""Installs a wheel in fresh environments without a compiler, one for each version and flavour of TensorFlow, and tries it.

    python release/try_wheel.py [--folder build/try] WHEEL [REQUIREMENT ...]

Of each environment: pip installs nothing but the wheel and what it says beside the flavour that is there, `pip check` is content, the
native library passes `python -m tfqz`, and README.md's first example gets its numbers.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = [f"{flavour}=={version}" for version in ("2.20.0", "2.21.0", "2.22.0rc0") for flavour in ("tensorflow", "tensorflow-cpu")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build/try", help="where the environments go; %(default)s")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("requirements", nargs="*", default=REQUIREMENTS, metavar="REQUIREMENT", help=", ".join(REQUIREMENTS))
    options = parser.parse_args()
    failed = []
    for requirement in options.requirements:
        problem = try_in(options.folder.resolve() / re.sub("[^a-z0-9.]+", "-", requirement), requirement, options.wheel.resolve())
        print(f"{requirement:30s} {problem or 'passes'}", flush=True)
        failed += [requirement] if problem else []
    return 1 if failed else 0


def try_in(folder, requirement, wheel):
    """What went wrong in a fresh environment; empty if nothing."""
    python = folder / "bin/python"
    if python.exists():
        run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "tfqz")
    else:
        run(sys.executable, "-m", "venv", folder)
        done = run(python, "-m", "pip", "install", "--quiet", requirement)
        if done.returncode:
            return f"pip can't install it: {done.stderr.splitlines()[-1]}"
    run(python, "-m", "pip", "install", "--quiet", "numpy", "scipy", "scipy-openblas32")
    planned = run(python, "-m", "pip", "install", "--dry-run", wheel).stdout
    would = re.findall("^Would install (.*)$", planned, re.MULTILINE)
    if [name.rsplit("-", 1)[0] for line in would for name in line.split()] != ["tfqz"]:
        return f"pip would install {would}"
    run(python, "-m", "pip", "install", "--quiet", wheel)
    checked = run(python, "-m", "pip", "check")
    # TensorFlow's own discords, if it has some, are not ours.
    if any("tfqz" in line for line in checked.stdout.splitlines()):
        return checked.stdout
    checked = run(python, "-m", "tfqz", cwd=folder, TFQZ_BACKEND="native")
    if checked.returncode:
        return checked.stdout + checked.stderr
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL).group(1)
    tried = run(python, "-c", example, cwd=folder, TFQZ_BACKEND="native")
    return tried.stderr if tried.returncode else ""


def run(*command, cwd=None, **environment):
    """With no compiler in reach."""
    nowhere = {"PATH": str(Path(command[0]).parent), "CC": "/nowhere/cc", "CXX": "/nowhere/c++"}
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, env=os.environ | nowhere | environment)


if __name__ == "__main__":
    sys.exit(main())
