"""Installs a wheel in fresh environments without a compiler, one for each version and flavour of TensorFlow, and tries it.

    python release/try_wheel.py [--folder build/try] [--python python3.13] [--tests] WHEEL [REQUIREMENT ...]

Of each environment: pip installs nothing but the wheel and what it says beside the flavour that is there, `pip check` is content, the
native library passes `python -m tfqz`, and README.md's first example gets its numbers. With `--tests` the tests that aren't slow run as
well, those of the commit that the wheel was made of, with the wheel's libraries and the native backend required.
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = [f"{flavour}=={version}" for version in ("2.20.0", "2.21.0", "2.22.0rc0") for flavour in ("tensorflow", "tensorflow-cpu")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build/try", help="where the environments go; %(default)s")
    parser.add_argument("--python", default=sys.executable, help="which makes the environments; %(default)s")
    parser.add_argument("--tests", action="store_true", help="run the tests that aren't slow as well")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("requirements", nargs="*", default=REQUIREMENTS, metavar="REQUIREMENT", help=", ".join(REQUIREMENTS))
    options = parser.parse_args()
    failed = []
    for requirement in options.requirements:
        folder, wheel = options.folder.resolve() / re.sub("[^a-z0-9.]+", "-", requirement), options.wheel.resolve()
        problem = try_in(folder, requirement, wheel, options.python)
        said = "passes"
        if options.tests and not problem:
            problem, said = run_tests(folder, wheel)
        print(f"{requirement:30s} {problem or said}", flush=True)
        failed += [requirement] if problem else []
    return 1 if failed else 0


def try_in(folder, requirement, wheel, interpreter):
    """What went wrong in a fresh environment; empty if nothing."""
    python = folder / "bin/python"
    if python.exists():
        run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "tfqz")
    else:
        subprocess.run([interpreter, "-m", "venv", folder], check=True)
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


def run_tests(folder, wheel):
    """What went wrong with the tests, and pytest's last line. They look at sources as well, so there is a checkout with the libraries in
    place. Environments keep pytest, and with it what the next wheel is tried in is less bare."""
    source, python = folder / "source", folder / "bin/python"
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(source, filter="data")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(source, [name for name in files.namelist() if name.startswith("tfqz/") and not name.endswith(".py")])
    subprocess.run([python, "-m", "pip", "install", "--quiet", "pytest", "pytest-xdist", "mpmath", "mypy"], check=True)
    command = [python, "-m", "pytest", "-n", "2", "--dist", "loadscope", "--no-loadscope-reorder", "-m", "not slow"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, env=os.environ | {"TFQZ_BACKEND": "native"})
    (folder / "tests.txt").write_text(done.stdout + done.stderr)
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-1000:]
    return (f"{last}; see {folder / 'tests.txt'}" if done.returncode else ""), last


def run(*command, cwd=None, **environment):
    """With no compiler in reach."""
    nowhere = {"PATH": str(Path(command[0]).parent), "CC": "/nowhere/cc", "CXX": "/nowhere/c++"}
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, env=os.environ | nowhere | environment)


if __name__ == "__main__":
    sys.exit(main())
