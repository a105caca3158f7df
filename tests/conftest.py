"""Fixtures that all tests share."""

import collections
import importlib.util
import inspect
import mmap
import os
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
import tensorflow as tf

import tfqz
from tfqz import _backends


def is_known(flag):
    """Whether TensorFlow's XLA has a flag, by its name in the libraries: others end the process, and versions differ."""
    for name in ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2"):
        with open(Path(importlib.util.find_spec("tensorflow").origin).parent / name, "rb") as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
                if text.find(f"\0{flag}\0".encode()) >= 0:
                    return True
    return False


# Compiling is most of what tests of XLA take, and a quarter of it so. test_xla.py runs some of them with XLA's own settings as well. XLA
# reads this when it is first used.
if "XLA_FLAGS" not in os.environ:
    flags = {"xla_backend_optimization_level": "0", "xla_cpu_use_fusion_emitters": "false", "xla_cpu_parallel_codegen_split_count": "1"}
    os.environ["XLA_FLAGS"] = " ".join(f"--{flag}={value}" for flag, value in flags.items() if is_known(flag))


@pytest.fixture(params=_backends.BACKENDS)
def backend(request):
    """Each backend by name; one that doesn't load is skipped unless the environment asks for it."""
    reason = _backends.BACKENDS[request.param].why_not()
    if reason is not None:
        if os.environ.get(_backends.VARIABLE) == request.param:
            pytest.fail(reason)
        pytest.skip(reason)
    return request.param


@pytest.fixture(params=["avx512", "avx2", "baseline"])
def simd(request, monkeypatch):
    """Each width of vectors by name; what this machine lacks is skipped."""
    monkeypatch.setenv("TFQZ_SIMD", request.param)
    try:
        tfqz.qz(np.eye(1), np.eye(1), backend="native")
    except tf.errors.InvalidArgumentError:
        pytest.skip("not on this machine")
    return request.param


def pytest_addoption(parser):
    parser.addoption("--part", default="1/1", metavar="K/N", help="the K-th of N parts of the modules, each in processes of its own")
    parser.addoption("--share", default="1/1", metavar="K/N", help="of each test's slow cases the K-th, and every N-th from there on")


def pytest_collection_modifyitems(config, items):
    keep(config, items, [item for item in items if not is_no_case(item)])
    for item in items:
        if "random-200" in item.name and "graph" in item.name:
            item.add_marker(pytest.mark.skip(reason="half a minute in TensorFlow's ops; test_xla.py compiles it"))
        words = [word for mark in item.iter_markers("slow_if") for word in mark.args]
        if any(word in item.name for word in words) or ("random-60" in item.name and "graph" in item.name):
            item.add_marker(pytest.mark.slow)
    keep(config, items, share_of(items, *map(int, config.getoption("share").split("/"))))
    # Modules of slow tests first: at the end there should be nothing long that one process is left with.
    slow = collections.defaultdict(list)
    for item in items:
        slow[item.path].append(item.get_closest_marker("slow") is not None)
    share = {path: sum(marks) / len(marks) for path, marks in slow.items()}
    items.sort(key=lambda item: -share[item.path])
    k, parts = map(int, config.getoption("part").split("/"))
    chosen = set(list(dict.fromkeys(item.path for item in items))[k - 1 :: parts])
    keep(config, items, [item for item in items if item.path in chosen])


def keep(config, items, kept):
    left = set(kept)
    config.hook.pytest_deselected(items=[item for item in items if item not in left])
    items[:] = kept


def is_no_case(item):
    """Whether a mark `no_case_if` leaves its parameters out: cases that can't fail apart from others."""
    conditions = (mark.args[0] for mark in item.iter_markers("no_case_if"))
    return any(condition(*(item.callspec.params[name] for name in inspect.signature(condition).parameters)) for condition in conditions)


def share_of(items, k, shares):
    """Those that aren't slow, and the k-th of so many shares of the slow cases of each test, at least one. Which is the first differs
    between tests; all shares together are all cases."""
    slow = collections.defaultdict(list)
    for item in items:
        if item.get_closest_marker("slow") is not None:
            slow[item.nodeid.split("[")[0]].append(item)
    others = set()
    for name, cases in slow.items():
        first, step = k - 1 + zlib.crc32(name.encode()), min(shares, len(cases))
        others.update(case for i, case in enumerate(cases) if (i - first) % step)
    return [item for item in items if item not in others]


@pytest.fixture
def rng(request):
    """Random numbers that depend on the test's name alone."""
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))
