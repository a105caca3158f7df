"""Builds the op library `tfqz/libtfqz.so` against the installed TensorFlow and the LAPACK of scipy-openblas32.

Nothing of either is copied in: at run time the library finds both in the user's environment. What it was built against
is written beside it, to `tfqz/built.json`, for the loader to compare with what runs.
"""

import concurrent.futures
import importlib.metadata
import json
import os
import shlex
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

LIBRARY = "libtfqz.so"
RECORD = "built.json"


class BuildOpLibrary(build_ext):
    """A shared library that TensorFlow loads; it has nothing of CPython's ABI."""

    def get_ext_filename(self, fullname):
        *packages, _ = fullname.split(".")
        return os.path.join(*packages, LIBRARY)

    def build_extension(self, ext):
        import scipy_openblas32
        import tensorflow as tf

        openblas_folder = scipy_openblas32.get_lib_dir()
        # -DNDEBUG as TensorFlow's own build has it: without it reference counts differ (tensorflow#17316).
        # As system headers, so that only this project's own warnings show.
        tensorflow_flags = [flag.replace("-I", "-isystem", 1) for flag in tf.sysconfig.get_compile_flags()]
        ext.extra_compile_args = [*tensorflow_flags, "-g0", "-DNDEBUG", "-Wall", "-fvisibility=hidden"]
        # Libraries that the wheel ships in their source layout: two that XLA's headers include, and Highway's vectors.
        external = Path(tf.sysconfig.get_include()) / "external"
        for folder in ("highwayhash", "farmhash_archive/src", "com_google_highway"):
            ext.extra_compile_args.append(f"-isystem{external / folder}")
        ext.extra_link_args = [
            *tf.sysconfig.get_link_flags(),
            "-l:libtensorflow_cc.so.2",  # XlaOpKernel
            f"-L{openblas_folder}",
            f"-l{scipy_openblas32.get_library()}",
            "-Wl,-z,defs",
            # Where pip puts the two beside tfqz; elsewhere (an editable install) the loader loads them first.
            "-Wl,-rpath,$ORIGIN/../tensorflow:$ORIGIN/../scipy_openblas32/lib",
        ]
        # By itself setuptools asks only whether a file is newer than the library; flags and TensorFlow's version count as well.
        self.force = True
        self.compiler.compile = in_parallel(self.compiler, tf.__version__)
        super().build_extension(ext)
        record = {
            "tensorflow": tf.__version__,
            "scipy_openblas32": importlib.metadata.version("scipy-openblas32"),
        }
        library = Path(self.get_ext_fullpath(ext.name))
        (library.parent / RECORD).write_text(json.dumps(record, indent=2) + "\n")

    def get_outputs(self):
        outputs = super().get_outputs()
        return outputs + [beside(output) for output in outputs]

    def get_output_mapping(self):
        """From where files are built to where an editable install wants them."""
        mapping = super().get_output_mapping()
        return mapping | {beside(built): beside(wanted) for built, wanted in mapping.items()}

    def copy_extensions_to_source(self):
        super().copy_extensions_to_source()
        for built, wanted in self.get_output_mapping().items():
            if built.endswith(RECORD):
                self.copy_file(built, wanted)


def in_parallel(compiler, version):
    """What compiles only what has changed, several files at a time: as many as there are processors, or as the environment variable
    MAX_JOBS says (a file takes up to 1.8 GB)."""
    compile_all = compiler.compile

    def compile_each(sources, **options):
        flags, jobs = options.pop("extra_postargs"), int(os.environ.get("MAX_JOBS", os.cpu_count()))

        def compile_one(source):
            (object_name,) = compiler.object_filenames([source], output_dir=options["output_dir"])
            headers, record = Path(f"{object_name}.d"), Path(f"{object_name}.flags")
            # Kernels do little themselves, and TensorFlow's headers much. The user's flags come last, so that they win.
            chosen = [*flags, "-O1" if "ops" in Path(source).parts else "-O3", *shlex.split(os.environ.get("CXXFLAGS", ""))]
            described = json.dumps([compiler.compiler_so_cxx, chosen, options["include_dirs"], options["macros"], version])
            if not is_current(Path(object_name), headers, record, described):
                record.unlink(missing_ok=True)  # until the object is whole
                # Not -MMD: what a system's header includes counts as the system's there, and Highway's includes our files.
                compile_all([source], extra_postargs=[*chosen, "-MD", "-MF", str(headers)], **options)
                record.write_text(described)
            return object_name

        with concurrent.futures.ThreadPoolExecutor(max(jobs, 1)) as pool:
            # Those with TensorFlow's headers first: they take longest.
            return list(pool.map(compile_one, sorted(sources, key=lambda source: ("ops" not in Path(source).parts, source))))

    return compile_each


def is_current(compiled, headers, record, described):
    """Whether an object file was made with the same flags, and of files none of which is newer."""
    if not all(path.exists() for path in (compiled, headers, record)) or record.read_text() != described:
        return False
    needed = headers.read_text().replace("\\\n", " ").split(":", 1)[1].split()
    return all(Path(path).exists() and Path(path).stat().st_mtime <= compiled.stat().st_mtime for path in needed)


def beside(library):
    return str(Path(library).parent / RECORD)


class PlatformWheel(bdist_wheel):
    """One wheel for every Python 3 of a platform, since the library needs no CPython ABI."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


setup(
    ext_modules=[
        Extension(
            "tfqz.libtfqz",
            sources=sorted(str(path) for path in Path("cc").rglob("*.cc")),
            depends=sorted(str(path) for path in Path("cc").rglob("*.h")),
            include_dirs=["cc"],
            language="c++",
        )
    ],
    cmdclass={"build_ext": BuildOpLibrary, "bdist_wheel": PlatformWheel},
)
