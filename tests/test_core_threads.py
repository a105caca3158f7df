"""What threads do at once, by ThreadSanitizer: tests/core_threads.cc, with what shares out work, and with all of the core."""

import os
import shutil
import subprocess

import pytest
from core_build import IN_VECTORS, OTHERS, ROOT, compile_all, link

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
SANITIZER = "-fsanitize=thread"
SHARING = ("interruption", "apart", "batch", "blas_room")
DRIVER = ROOT / "tests/core_threads.cc"


def run(program):
    # Addresses as it wants them: with those of some kernels ThreadSanitizer doesn't begin.
    command = [*(["setarch", "-R"] if shutil.which("setarch") else []), program]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TSAN_OPTIONS": "halt_on_error=1"})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_shares_out_work(tmp_path):
    """Batches, interruption, and calls that are left to themselves."""
    objects = compile_all(tmp_path, [path for path in OTHERS if path.stem in SHARING] + [DRIVER], SANITIZER)
    assert run(link(tmp_path / "threads", SANITIZER, objects)) == ["batches, signals, calls left alone"]


@pytest.mark.slow
def test_all_of_the_core(tmp_path):
    """The choice of vectors by several threads, pencils in several threads, and one in two."""
    objects = compile_all(tmp_path, [*OTHERS, DRIVER], "-DWHOLE_CORE", SANITIZER) + compile_all(tmp_path, IN_VECTORS, "-O0", SANITIZER)
    assert run(link(tmp_path / "threads", SANITIZER, objects)) == ["the mathematics", "batches, signals, calls left alone"]
