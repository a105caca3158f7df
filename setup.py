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
        ext.extra_compile_args = [*tensorflow_flags, "-O3", "-g0", "-DNDEBUG", "-Wall", "-fvisibility=hidden"]
        # Libraries that the wheel ships in their source layout: two that XLA's headers include, and Highway's vectors.
        external = Path(tf.sysconfig.get_include()) / "external"
        for folder in ("highwayhash", "farmhash_archive/src", "com_google_highway"):
            ext.extra_compile_args.append(f"-isystem{external / folder}")
        # The user's come last, so that they win.
        ext.extra_compile_args += shlex.split(os.environ.get("CXXFLAGS", ""))
        ext.extra_link_args = [
            *tf.sysconfig.get_link_flags(),
            "-l:libtensorflow_cc.so.2",  # XlaOpKernel
            f"-L{openblas_folder}",
            f"-l{scipy_openblas32.get_library()}",
            "-Wl,-z,defs",
            # Where pip puts the two beside tfqz; elsewhere (an editable install) the loader loads them first.
            "-Wl,-rpath,$ORIGIN/../tensorflow:$ORIGIN/../scipy_openblas32/lib",
        ]
        self.compiler.compile = in_parallel(self.compiler.compile)
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


def in_parallel(compile_all):
    """One file a processor: TensorFlow's headers and vectors of several widths take a minute each."""

    def compile_each(sources, **options):
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda source: compile_all([source], **options), sources))
        return [path for paths in objects for path in paths]

    return compile_each


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
            sources=sorted(str(path) for path in Path("cc").glob("*.cc")),
            depends=sorted(str(path) for path in Path("cc").glob("*.h")),
            include_dirs=["cc"],
            language="c++",
        )
    ],
    cmdclass={"build_ext": BuildOpLibrary, "bdist_wheel": PlatformWheel},
)
