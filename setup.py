"""Builds two libraries: `tfqz/libtfqz_core.so`, which knows LAPACK and nothing of TensorFlow, and the op library for the minor version of
TensorFlow that is installed, such as `tfqz/libtfqz_tf2.21.so`.

Nothing of TensorFlow or OpenBLAS is copied in: at run time the libraries find both in the user's environment. What they were built from
is written beside them, to `tfqz/built.json`, for the loader (`tfqz/_backends/library.py`) to compare with what runs.
"""

import concurrent.futures
import functools
import hashlib
import importlib.metadata
import json
import os
import shlex
import shutil
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    raise SystemExit('tfqz is built by setuptools 77 or later; `pip install "setuptools>=77"`') from None

CORE, OPS, RECORD = "libtfqz_core", "libtfqz_tf", "built.json"
# Libraries whose headers TensorFlow's wheel ships in their source layout: two that XLA's headers include, and Highway's vectors, under
# either of its names.
EXTERNAL = ("highwayhash", "farmhash_archive/src", "com_google_highway", "highway")


@functools.cache
def tensorflow():
    try:
        import tensorflow as tf
    except ImportError:
        raise SystemExit(
            "tfqz is built against TensorFlow, and none is installed here; `pip install tensorflow` or `pip install tensorflow-cpu`"
        ) from None
    return tf


def openblas():
    try:
        import scipy_openblas32
    except ImportError:
        raise SystemExit("tfqz is built against the LAPACK of scipy-openblas32; `pip install scipy-openblas32`") from None
    return scipy_openblas32


def minor():
    return ".".join(tensorflow().__version__.split(".")[:2])


def digest():
    """Of all that is compiled: two libraries fit each other if they are built from the same."""
    total = hashlib.sha256()
    for path in sorted(Path("cc").rglob("*")):
        if path.suffix in (".h", ".cc"):
            total.update(path.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


class BuildLibraries(build_ext):
    """Shared libraries without anything of CPython's ABI."""

    def get_ext_filename(self, fullname):
        *packages, name = fullname.split(".")
        return os.path.join(*packages, (f"{OPS}{minor()}" if name == OPS else name) + ".so")

    def build_extensions(self):
        compiler = self.compiler.compiler_so_cxx[0]
        if shutil.which(compiler) is None:
            raise SystemExit(f"tfqz is built by a C++17 compiler, and there is no {compiler!r} here; install one, such as g++")
        core, ops = self.extensions
        # Those with TensorFlow's headers first: they take longest. Kernels do little themselves, and TensorFlow's headers much.
        jobs = [(source, ["-O1", *self.ops_flags()], f"tf{minor()}") for source in sorted(ops.sources)]
        ready = os.environ.get("TFQZ_CORE")
        if not ready:
            jobs += [(source, ["-O3", *self.core_flags()], "core") for source in sorted(core.sources)]
        with concurrent.futures.ThreadPoolExecutor(max(1, int(os.environ.get("MAX_JOBS", os.cpu_count())))) as pool:
            objects = dict(zip((source for source, _, _ in jobs), pool.map(lambda job: self.compile_one(*job), jobs)))
        # Where pip puts all beside tfqz; elsewhere (an editable install) the loader loads the others first.
        if ready:
            self.take_core(core, ready)
        else:
            blas = openblas()
            self.link(core, objects, [f"-L{blas.get_lib_dir()}", f"-l{blas.get_library()}"], "$ORIGIN/../scipy_openblas32/lib")
        libraries = [*tensorflow().sysconfig.get_link_flags(), "-l:libtensorflow_cc.so.2"]  # the second has XlaOpKernel
        folder = os.path.dirname(self.get_ext_fullpath(core.name))
        self.link(ops, objects, [f"-L{folder}", f"-l:{CORE}.so", *libraries], "$ORIGIN:$ORIGIN/../tensorflow")
        record = {
            "sources": digest(),
            "scipy_openblas32": importlib.metadata.version("scipy-openblas32"),
            "tensorflow": {minor(): tensorflow().__version__},
        }
        (Path(folder) / RECORD).write_text(json.dumps(record, indent=2) + "\n")

    def take_core(self, core, library):
        """The core that the environment variable TFQZ_CORE says, which serves every version of TensorFlow."""
        if json.loads(Path(beside(library)).read_text())["sources"] != digest():
            raise SystemExit(f"TFQZ_CORE must be a library that was built from these sources; got {library}")
        output = self.get_ext_fullpath(core.name)
        self.mkpath(os.path.dirname(output))
        self.copy_file(library, output)

    def core_flags(self):
        include = Path(tensorflow().sysconfig.get_include())
        # As system headers, so that only this project's own warnings show; and no path of this machine in the library.
        external = [f"-isystem{include / 'external' / folder}" for folder in EXTERNAL if (include / "external" / folder).exists()]
        abi = [flag for flag in tensorflow().sysconfig.get_compile_flags() if flag.startswith("-D_GLIBCXX")]
        # -DNDEBUG as TensorFlow's own build has it: without it reference counts differ (tensorflow#17316).
        return ["-std=c++17", "-g0", "-DNDEBUG", "-Wall", "-fvisibility=hidden", f"-ffile-prefix-map={include}=tensorflow", *abi, *external]

    def ops_flags(self):
        return [*self.core_flags(), *(flag.replace("-I", "-isystem", 1) for flag in tensorflow().sysconfig.get_compile_flags())]

    def compile_one(self, source, flags, folder):
        """The object file of a source, which is compiled only if it, what it includes, or a flag has changed."""
        options = {"output_dir": os.path.join(self.build_temp, folder), "include_dirs": ["cc"]}
        (compiled,) = self.compiler.object_filenames([source], output_dir=options["output_dir"])
        headers, record = Path(f"{compiled}.d"), Path(f"{compiled}.flags")
        flags = [*flags, *shlex.split(os.environ.get("CXXFLAGS", ""))]  # the user's come last, so that they win
        described = json.dumps([self.compiler.compiler_so_cxx, flags, tensorflow().__version__ if folder != "core" else ""])
        if not is_current(Path(compiled), headers, record, described):
            record.unlink(missing_ok=True)  # until the object is whole
            # Not -MMD: what a system's header includes counts as the system's there, and Highway's includes our files.
            self.compiler.compile([source], extra_postargs=[*flags, "-MD", "-MF", str(headers)], **options)
            record.write_text(described)
        return compiled

    def link(self, extension, objects, libraries, search):
        output = self.get_ext_fullpath(extension.name)
        flags = [*libraries, "-Wl,-z,defs", f"-Wl,-soname,{os.path.basename(output)}", f"-Wl,-rpath,{search}"]
        flags += shlex.split(os.environ.get("LDFLAGS", ""))
        compiled = [objects[source] for source in sorted(extension.sources)]
        self.compiler.link_shared_object(compiled, output, extra_postargs=flags, target_lang="c++")

    def get_outputs(self):
        outputs = super().get_outputs()
        return [*outputs, beside(outputs[0])]

    def get_output_mapping(self):
        """From where files are built to where an editable install wants them."""
        mapping = super().get_output_mapping()
        return mapping | {beside(built): beside(wanted) for built, wanted in mapping.items()}

    def copy_extensions_to_source(self):
        """Libraries for other minor versions stay, if they are built from the same sources."""
        mapping = super().get_output_mapping()
        (built,), (record,) = ({beside(path) for path in paths} for paths in (mapping, mapping.values()))
        before = json.loads(Path(record).read_text()) if Path(record).exists() else {}
        super().copy_extensions_to_source()
        now = json.loads(Path(built).read_text())
        if before.get("sources") == now["sources"]:
            now["tensorflow"] = before["tensorflow"] | now["tensorflow"]
        for library in Path(record).parent.glob(f"{OPS}*.so"):
            if library.stem.removeprefix(OPS) not in now["tensorflow"]:
                library.unlink()
        Path(record).write_text(json.dumps(now, indent=2) + "\n")


def is_current(compiled, headers, record, described):
    """Whether an object file was made with the same flags, and of files none of which is newer."""
    if not all(path.exists() for path in (compiled, headers, record)) or record.read_text() != described:
        return False
    needed = headers.read_text().replace("\\\n", " ").split(":", 1)[1].split()
    return all(Path(path).exists() and Path(path).stat().st_mtime <= compiled.stat().st_mtime for path in needed)


def beside(library):
    return str(Path(library).parent / RECORD)


class PlatformWheel(bdist_wheel):
    """One wheel for every Python 3 of a platform, since the libraries need no CPython ABI."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


def library(name, *folders):
    sources = [str(path) for folder in folders for path in sorted(Path("cc", folder).glob("*.cc"))]
    headers = [str(path) for path in sorted(Path("cc").rglob("*.h"))]
    return Extension(f"tfqz.{name}", sources=sources, depends=headers, language="c++")


setup(
    ext_modules=[library(CORE, "pencil", "vectors", "algorithms"), library(OPS, "ops")],
    cmdclass={"build_ext": BuildLibraries, "bdist_wheel": PlatformWheel},
)
