"""`tfqz.klein` of models without one stable solution: what is said, `unique`, and that others of a batch have theirs."""

import models
import numpy as np
import pytest
import several
import tensorflow as tf
from functionals import relative_error
from test_klein import defective

import tfqz

GOOD, INDETERMINATE, EXPLOSIVE = (models.KEYNES + np.eye(6)[place] * step for place, step in ((0, 0), (3, -0.9), (5, 0.3)))
INDETERMINATE[4] = 0  # phi_p = 0.6, phi_x = 0: an interest rate that follows inflation by too little
MODEL = "`a`, `b`, `c` must be a model with one stable solution; got"


def keynes(*parameters):
    """A batch of models."""
    return [np.stack(x) for x in zip(*([y.numpy() for y in models.keynes(tf.constant(p))] for p in parameters))]


def scalars(*equations):
    """A model of separate equations in one variable each, from its roots: (z - r) (z - s), or z - r for s = inf."""
    a, b, c = np.transpose([(-r, 1, 0) if np.isinf(s) else (r * s, -r - s, 1) for r, s in equations])
    return [np.diag(x).astype(float) for x in (a, b, c)]


SINGULAR = keynes(GOOD)[0][0], *(x[0] for x in keynes(GOOD)[1:3])
SINGULAR = [np.concatenate([x[:3], x[:1] + x[1:2]]) for x in SINGULAR]  # the fourth equation follows from others

FAILURES = {
    "indeterminate": ([x[0] for x in keynes(INDETERMINATE)[:3]], f"{MODEL} 5 stable eigenvalues for 4 variables: indeterminate", 1),
    "two-too-many": (scalars((0.5, 0.4), (0.3, 0.2)), f"{MODEL} 4 stable eigenvalues for 2 variables: indeterminate", 2),
    "explosive": ([x[0] for x in keynes(EXPLOSIVE)[:3]], f"{MODEL} 3 stable eigenvalues for 4 variables: no stable solution", -1),
    "two-too-few": (scalars((2, 3), (1.5, np.inf), (0.5, 3)), f"{MODEL} 1 stable eigenvalues for 3 variables: no stable solution", -2),
    "rank": (
        scalars((0.5, 0.4), (2, 3), (0.5, 2)),
        f"{MODEL} 3 stable eigenvalues for as many variables, and the rank condition fails: from some y.-1. there is no stable solution",
        -1,
    ),
    "singular": (
        SINGULAR,
        rf"{MODEL} 1 eigenvalues 0/0, det\(a \+ b z \+ c z\^2\) = 0 for all z: equations that don't determine the variables",
        1,
    ),
}


@pytest.mark.slow_if("scipy", "graph")
@pytest.mark.parametrize("failure", FAILURES)
def test_failures(failure, backend):
    (a, b, c), text, unique = FAILURES[failure]
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        tfqz.klein(a, b, c, backend=backend)
    with pytest.raises(tf.errors.InvalidArgumentError, match=text + r" in batch element \[1, 0\]"):
        tfqz.klein(a, np.stack([np.eye(len(a)) * 9, b])[:, None], c, backend=backend)
    found = tfqz.klein(a, b, c, np.ones((len(a), 1)), backend=backend, on_failure="nan")
    assert np.isnan(found.policy).all() and np.isnan(found.impact).all() and found.unique == unique


@pytest.mark.slow_if("scipy", "graph")
def test_failures_in_graphs(backend):
    """With the number of variables, and without where it is unknown."""
    (a, b, c), *_ = FAILURES["indeterminate"]
    function = tf.function(lambda *xs: tfqz.klein(*xs, backend=backend).policy)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"got\D*5\D*stable eigenvalues for 4 variables: indeterminate"):
        function(a, b, c)
    unknown = tf.function(function, input_signature=[tf.TensorSpec([None, None], tf.float64)] * 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"got\D*5\D*stable eigenvalues for n variables: indeterminate"):
        unknown(a, b, c)
    if backend == "native":
        with pytest.raises(tf.errors.InvalidArgumentError, match="got 5 stable eigenvalues for 4 variables: indeterminate"):
            tf.function(function, jit_compile=True)(a, b, c)


def masked(*xs, **options):
    policy, impact, _ = tfqz.klein(*xs, on_failure="nan", **options)
    return tf.add_n([tf.reduce_sum(tf.where(tf.math.is_nan(x), tf.zeros_like(x), x) ** 2) for x in (policy, impact)])


@pytest.mark.slow_if("scipy", "graph")
def test_elements_that_fail_harm_no_other(backend, rng):
    """Values, first and second derivatives; one of the elements isn't finite."""
    given, good = keynes(GOOD, INDETERMINATE, GOOD * 1.01, EXPLOSIVE, GOOD), [0, 2]
    given[2][4, 1, 1] = np.inf
    found = tfqz.klein(*given, on_failure="nan", backend=backend)
    assert found.unique.numpy().tolist() == [0, 1, 0, -1, -4]
    assert np.isnan(found.policy.numpy()[[1, 3, 4]]).all() and np.isnan(found.impact.numpy()[[1, 3, 4]]).all()
    part = tfqz.klein(*(x[good] for x in given), backend=backend)
    assert relative_error([x.numpy()[good] for x in found[:2]], part[:2]) < 1e-13
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`c` must be finite; got NaN or Inf in batch element \[4\]"):
        tfqz.klein(*given, backend=backend)
    moves = [tf.constant(x) for x in several.like(rng, given)]
    f = lambda *xs: masked(*xs, backend=backend)
    for function, only in ((f, f), (several.along(f, moves), several.along(f, [tf.gather(x, good) for x in moves]))):
        whole, alone = several.gradients(function, given), several.gradients(only, [x[good] for x in given])
        for x, y in zip(whole, alone):
            assert not x.numpy()[[1, 3, 4]].any() and relative_error([x.numpy()[good]], [y]) < 1e-10
    tensors = [tf.constant(x) for x in given]
    with tf.autodiff.ForwardAccumulator(tensors, moves) as accumulator:
        value = f(*tensors)
    assert np.isfinite(accumulator.jvp(value))


@pytest.mark.slow
def test_failures_under_xla(rng):
    """Values and gradients of a batch with all kinds, twice; on other devices too, which raise no errors."""
    given = keynes(GOOD, INDETERMINATE, GOOD * 1.01, EXPLOSIVE)

    def step(*xs):
        with tf.GradientTape() as tape:
            tape.watch(xs)
            value = masked(*xs)
        return [value, *tape.gradient(value, xs), tfqz.klein(*xs, on_failure="nan").unique]

    compiled = tf.function(step, jit_compile=True)
    for _ in range(2):
        (*found, unique), (*expected, expected_unique) = compiled(*given), step(*map(tf.constant, given))
        assert relative_error(found, expected) < 1e-11 and np.array_equal(unique, expected_unique)
        given = [x[::-1].copy() for x in given]


@pytest.mark.slow
def test_on_other_devices(monkeypatch):
    """Where no errors can be raised `unique` tells."""
    monkeypatch.setenv("TFQZ_XLA", "graph")
    given = keynes(GOOD, INDETERMINATE, EXPLOSIVE)
    found = tf.function(lambda *xs: tfqz.klein(*xs, backend="graph"), jit_compile=True)(*given)
    assert found.unique.numpy().tolist() == [0, 1, -1] and np.isnan(found.policy[1:]).all()
    assert relative_error([found.policy[0]], [tfqz.klein(*(x[0] for x in given)).policy]) < 1e-12


def test_arguments(rng):
    (a, b, c, d), _ = defective(rng)
    with pytest.raises(ValueError, match=r"`d` must be \[\.\.\., n, k\], n being 6; got \(5, 2\), and `a` \(6, 6\)"):
        tfqz.klein(a, b, c, d[:5])
    with pytest.raises(ValueError, match=r"`tolerance` must be above -1"):
        tfqz.klein(a, b, c, d, tolerance=-1)
    with pytest.raises(TypeError, match="`tolerance` must be a number; got None"):
        tfqz.klein(a, b, c, d, tolerance=None)
    with pytest.raises(TypeError, match="`a` and `d` must have the same dtype"):
        tfqz.klein(a, b, c, d.astype("float32"))
    with pytest.raises(ValueError, match="`on_failure` must be one of"):
        tfqz.klein(a, b, c, on_failure="ignore")
