"""Saved models outlive versions: names of ops and their attributes are a file format, and so are the rules that graphs name."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from functionals import relative_error
from stored_model import ops

from tfqz._backends import native
from tfqz._derivative import attach

DATA = Path(__file__).resolve().parent / "data"
STORED = json.loads((DATA / "ops.json").read_text())
pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")


def test_stored_model(tmp_path):
    """Values, the gradient in the graph, and that of the graph, as when it was saved."""
    shutil.unpack_archive(DATA / "saved_model.zip", tmp_path)
    expected = np.load(tmp_path / "expected.npz")
    model = tf.saved_model.load(str(tmp_path))
    a, b = tf.constant(expected["a"]), tf.constant(expected["b"])
    assert relative_error([model.values(a, b)], [expected["values"]]) < 1e-13
    gradient = [expected["da"], expected["db"]]
    assert relative_error(model.gradient(a, b), gradient) < 1e-12
    with tf.GradientTape() as tape:
        tape.watch(a)
        values = tf.reduce_sum(model.values(a, b))
    step = 1e-6 * expected["da"]
    ahead, behind = (float(tf.reduce_sum(model.values(a + sign * step, b))) for sign in (1, -1))
    derivative = float(tf.reduce_sum(tape.gradient(values, a) * step))
    np.testing.assert_allclose((ahead - behind) / 2, derivative, rtol=1e-6)


def test_ops_take_what_they_took():
    """Inputs and outputs as they were; new attributes have defaults, so that graphs without them load."""
    now = ops()
    for name, before in STORED["ops"].items():
        assert [now[name][kind] for kind in ("inputs", "outputs")] == [before[kind] for kind in ("inputs", "outputs")], name
        for attribute, (kind, _) in before["attributes"].items():
            assert now[name]["attributes"][attribute][0] == kind, (name, attribute)
        new = now[name]["attributes"].keys() - before["attributes"].keys()
        assert all(now[name]["attributes"][attribute][1] for attribute in new), name


def test_rules_keep_their_places():
    """Which graphs hold."""
    assert list(attach.RULES)[: len(STORED["rules"])] == STORED["rules"]
