"""SciPy's own tests of `qz` and `ordqz`, with tfqz in place of SciPy's functions.

What makes no sense here is left out by name: `check_finite` and `sort` of `qz`, mixed dtypes and integers (converted here, as SciPy
does it), and callables of NumPy arrays (they get the tensors' arrays).
"""

import inspect

import numpy as np
import pytest
import scipy.linalg.tests.test_decomp as scipys
import tensorflow as tf

import tfqz

LEFT_OUT = {"test_qz_double_sort": "SciPy's qz has an argument `sort` that raises ValueError"}


def _pencil(a, b):
    return [np.asarray(x, np.result_type(a, b, np.float32 if np.result_type(a, b) == np.float32 else np.float64)) for x in (a, b)]


def qz(a, b, output="real", check_finite=True):
    return tuple(x.numpy() for x in tfqz.qz(*_pencil(a, b), output=output))


def ordqz(a, b, sort="lhp", output="real"):
    if callable(sort):
        selection = sort

        def sort(alpha, beta):
            return tf.constant(np.asarray(selection(alpha.numpy(), beta.numpy())))

    return tuple(x.numpy() for x in tfqz.ordqz(*_pencil(a, b), sort, output))


def _tests():
    for name in ("TestQZ", "TestOrdQZ", "TestOrdQZWorkspaceSize"):
        for method, _ in inspect.getmembers(getattr(scipys, name), inspect.isfunction):
            if method.startswith("test_") and method not in LEFT_OUT:
                slow = [pytest.mark.slow] if "Workspace" in name else []
                yield pytest.param(name, method, id=f"{name}-{method}", marks=slow)


@pytest.mark.parametrize("name, method", list(_tests()))
def test_passes(name, method, monkeypatch):
    monkeypatch.setattr(scipys, "qz", qz)
    monkeypatch.setattr(scipys, "ordqz", ordqz)
    tests = getattr(scipys, name)()
    if hasattr(tests, "setup_class"):
        tests.setup_class()
    getattr(tests, method)()
