"""The checklist of a release, as far as a program can tell: `python release/check.py VERSION`.

It changes nothing. What it can't tell is in CONTRIBUTING.md.
"""

import argparse
import datetime
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("version", help="the one to be released, such as 0.2.0")
    version = parser.parse_args().version
    good = True
    for question, answer in checks(version):
        print(f"{'yes' if answer else 'NO':4s} {question}", flush=True)
        good = good and bool(answer)
    return 0 if good else 1


def checks(version):
    """Questions, each with its answer."""
    text = {name: (ROOT / name).read_text() for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md")}
    yield "nothing is uncommitted", not output("git", "status", "--porcelain")
    yield "no tag has this version", f"v{version}" not in output("git", "tag").split()
    yield "pyproject.toml says it", f'version = "{version}"' in text["pyproject.toml"]
    yield "CITATION.cff says it", f"version: {version}\n" in text["CITATION.cff"]
    heading = re.search(rf"^## \[{re.escape(version)}\] - (.*)$", text["CHANGELOG.md"], re.MULTILINE)
    yield "CHANGELOG.md has its heading, with today's date", heading and heading.group(1) == datetime.date.today().isoformat()
    formats = json.loads((ROOT / "tests/data/ops.json").read_text())
    yield "tests/data has a model that this version saved (`python tests/stored_model.py`)", formats["version"] == version
    yield "`make lint` is content", succeeds("make", "lint")
    yield "`make docs` is content", succeeds("make", "docs")
    yield "`make test-every` passes", succeeds("make", "test-every")
    yield "`make test-wheel` passes", succeeds("make", "test-wheel")
    wheels = list((ROOT / "build/wheel/dist").glob(f"tfqz-{version}-*.whl"))
    yield "there is a wheel of this version", len(wheels) == 1
    if wheels:
        with zipfile.ZipFile(wheels[0]) as archive:
            names = archive.namelist()
        yield "with licence and notices in it", all(any(name.endswith(end) for name in names) for end in ("LICENSE", "NOTICE"))


def succeeds(*command):
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
