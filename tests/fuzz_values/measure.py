"""A case, that is a configuration and a batch of pencils, through each of its backends and widths of vectors: ratios by property."""

import collections
import contextlib
import dataclasses
import os

import numpy as np
import tensorflow as tf
from functionals import deviates

from fuzz_values import gradients, properties
from fuzz_values.calls import CALLS
from fuzz_values.properties import times
from tfqz import _backends

VARIABLE = "TFQZ_SIMD"


@dataclasses.dataclass(frozen=True)
class Configuration:
    """What is called, and what is asked of it.

    variants: backends; with a second word widths of vectors of the native one, "native avx2", or "xla" for programs that XLA compiles.
    output, sort, tolerance, rank, balance: arguments of the call.
    checks: of "alone", "scaled", "gradient", "round trip", "forward mode".
    failing: the place in the batch of an element that has a NaN, or None.
    seed: of cotangents, directions and powers of two.
    """

    call: str
    variants: tuple = ("native",)
    output: str = "real"
    sort: str = "lhp"
    tolerance: float = 0.0
    rank: int | None = None
    balance: bool = False
    checks: tuple = ()
    failing: int | None = None
    seed: int = 0

    def __str__(self):
        return " ".join(str(x) for x in (self.call, *self.variants, *self.checks) if x)


def is_compiled(variant):
    return variant.endswith(" xla")


@contextlib.contextmanager
def using(variant):
    """The backend of a variant, with its vectors."""
    backend, _, simd = variant.partition(" ")
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "" if is_compiled(variant) else simd
    try:
        yield backend
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def widths():
    """Those that this machine has, LAPACK alone among them."""
    if _backends.BACKENDS["native"].why_not() is not None:
        return []
    found = []
    for simd in ("avx512", "avx2", "baseline", "none"):
        with using(f"native {simd}"), contextlib.suppress(tf.errors.InvalidArgumentError):
            _backends.BACKENDS["native"].factorize(tf.eye(1), tf.eye(1), "raise")
            found.append(simd)
    return found


class Measured:
    """ratios: {(variant, property): the largest of all elements}; notes: what was excused, counted; messages: of errors."""

    def __init__(self):
        self.ratios, self.notes, self.messages = {}, collections.Counter(), []

    def add(self, variant, name, ratio):
        if ratio is not None:
            self.ratios[variant, name] = properties.max_ratio([self.ratios.get((variant, name), 0.0), ratio])

    def failures(self):
        """[(variant, property)] of ratios above 1, NaN among them."""
        return [key for key, ratio in self.ratios.items() if not ratio <= 1]


def measure(c, a, b):
    """Of a and b, [count, m, n], arrays."""
    measured = Measured()
    a, b = np.array(a), np.array(b)
    if c.failing is not None:
        a[c.failing, 0, 0] = np.nan
    for variant in c.variants:
        with using(variant) as backend:
            try:
                of_variant(measured, variant, c, backend, a, b)
            except (tf.errors.OpError, ValueError, TypeError, FloatingPointError) as error:
                measured.add(variant, "no error", np.inf)
                measured.messages.append(f"{variant}: {type(error).__name__}: {error}")
    return measured


def failures(c, a, b):
    """What is broken, as a test prints it: empty if nothing is."""
    return [f"{variant}: {name}" for variant, name in measure(c, a, b).failures()]


def function(c, variant, backend):
    """What is called, of `arguments`."""

    def f(*matrices):
        return tuple(CALLS[c.call].run(c, backend, *matrices))

    return tf.function(f, jit_compile=True) if is_compiled(variant) else f


def arguments(c, a, b):
    solver = CALLS[c.call].solver
    return solver.given(c, a, b) if solver else [a, b]


def of_variant(measured, variant, c, backend, a, b):
    call, f = CALLS[c.call], function(c, variant, backend)
    outputs = [x.numpy() for x in f(*arguments(c, a, b))]
    failed = np.array([x.size > 0 and np.isnan(x).all() for x in outputs[0]], bool)
    for k, elements in enumerate(zip(*outputs)):
        x, y = a[k], b[k]
        if k == c.failing:
            measured.add(variant, "NaN stays NaN", properties.holds(failed[k] or c.call == "balance" or outputs[0][k].size == 0))
        elif failed[k]:
            excuse = excused(call, variant, x, y)
            measured.notes[excuse or "failed"] += 1
            measured.add(variant, "an answer", properties.holds(excuse is not None))
        elif not all(np.isfinite(e).all() for e in elements[: len(call.degrees) or None]):
            # A pair whose t_jj has become 0 among denormals has no eigenvectors.
            of_denormals = c.call == "eig" and properties.has_few_digits(x, y)
            measured.notes["denormals"] += of_denormals
            may_overflow = near_overflow(x, y) or (c.call == "balance" and beyond_range(x, y, *elements[2:]))
            measured.add(variant, "finite", properties.holds(may_overflow or of_denormals))
        else:
            for name, ratio in call.check(c, backend, x, y, elements).items():
                measured.add(variant, name, ratio)
    if is_asked_alone(c, variant):
        alone(measured, variant, c, f, a, b, outputs)
    if "scaled" in c.checks:
        scaled(measured, variant, c, f, a, b, outputs, failed)
    if "gradient" in c.checks and call.degrees:
        of_gradient(measured, variant, c, f, backend, a, b, outputs, failed)
    if "gradient" in c.checks and call.solver:
        of_solver(measured, variant, c, f, a, b, outputs, failed)


def near_overflow(a, b):
    """Whether norms may leave the range."""
    limit = np.finfo(a.dtype).max / (8 * max(1, *a.shape))
    return any(np.abs(x.real).max(initial=0) > limit or np.abs(x.imag).max(initial=0) > limit for x in (a, b))


def beyond_range(a, b, left, right):
    """Whether what `balance` multiplies a and b by makes them too large."""
    return any((np.abs(left[:, None] * properties.wide(x) * right) > np.finfo(x.dtype).max / 2).any() for x in (a, b))


def excused(call, variant, a, b):
    """Why an element may fail, or None: entries near the largest number; LAPACK, whose iteration may go in circles; a refused exchange."""
    if near_overflow(a, b):
        return "near overflow"
    if variant in ("scipy", "native none"):
        return "LAPACK gave up"
    return "refused" if call.may_refuse else None


def is_asked_alone(c, variant):
    return "alone" in c.checks and CALLS[c.call].alone and variant.startswith("native") and not is_compiled(variant)


def alone(measured, variant, c, f, a, b, outputs):
    """One element is what it is in the batch, to the last bit, and so is the batch the other way round."""
    k = c.seed % len(a)
    found = [x.numpy() for x in f(a[k], b[k])]
    measured.add(variant, "alone", properties.same_bits(found, [x[k] for x in outputs]))
    turned = [x.numpy()[::-1] for x in f(a[::-1], b[::-1])]
    measured.add(variant, "turned round", properties.same_bits(turned, outputs))


def exponents_in_range(rng, *arrays):
    """An exponent for each array that leaves all its entries normal numbers, with some room."""
    chosen = []
    for x in arrays:
        limits = np.finfo(x.dtype)
        most = limits.maxexp - 3
        allowed = [e for e in rng.integers(-most, most, 8) if properties.in_range(x, int(e))]
        chosen.append(int(allowed[0]) if allowed and properties.in_range(x, 0) else 0)
    return chosen


def scaled(measured, variant, c, f, a, b, outputs, failed):
    """A and B times powers of two have results times powers of two."""
    call = CALLS[c.call]
    i, j = exponents_in_range(np.random.default_rng(c.seed), a[~failed], b[~failed])
    if c.sort in ("iuc", "ouc", "large", "by_size") or c.tolerance != 0:
        j = i if all(properties.in_range(b[~failed], e) for e in (0, i)) else (i := 0)
    if i == j == 0:
        return
    found = [x.numpy() for x in f(times(a, i), times(b, j))]
    exponents = [of_a * i + of_b * j for of_a, of_b in call.degrees]
    expected = [times(y, e) for y, e in zip(outputs, exponents)]
    # What a denormal of S or T has lost others may have lost with it.
    entire = np.all([properties.without_denormals(x) for x in (*outputs[: len(expected)], *expected)], axis=0)
    for x, y, e in zip(found, expected, exponents):
        measured.add(variant, "scaled", properties.equal_where_normal(x[entire], y[entire], e))


def of_gradient(measured, variant, c, f, backend, a, b, outputs, failed):
    call = CALLS[c.call]
    if any(0 < np.abs(x).max(initial=0) < 4 * np.finfo(x.dtype).tiny for x in (*a, *b)):
        return  # in TensorFlow's ops gradients take denormals for 0
    square = a.shape[-2] == a.shape[-1]
    in_cpp = ("qz", "ordqz", "eigvals") if square else ("qz",)
    in_ops = backend != "native" or is_compiled(variant) or c.call not in in_cpp or c.balance
    if in_ops and any(near_overflow(x, y) for x, y in zip(a, b)):
        return  # what stands between has to be in the range
    if in_ops and (properties.has_few_digits(*a, *b, power=0.5) or any(map(properties.lost_in_ops, outputs[: len(call.degrees)]))):
        return
    bars = gradients.cotangents(c, call, a, b, outputs, failed)
    found = gradients.gradient(f, [a, b], bars)
    if gradients.leaves_range(found, f, [a, b], bars) or gradients.grows_beyond_range(c, a, b, found):
        measured.notes["beyond the range"] += 1
        return
    measured.add(variant, "finite gradient", gradients.finite(found, failed))
    k = c.seed % len(a)
    if is_asked_alone(c, variant) and not in_ops and not failed[k]:
        single = gradients.gradient(f, [a[k], b[k]], [bar[k] for bar in bars])
        measured.add(variant, "gradient alone", properties.same_bits(single, [x[k] for x in found]))
    if c.call != "qz" or failed[k]:
        return
    factors = [x[k] for x in outputs]
    if "round trip" in c.checks:
        measured.add(variant, "round trip", gradients.round_trip(c, backend, a[k], b[k], factors))
    if "forward mode" in c.checks:
        ratio = gradients.forward_mode(c, backend, a[k], b[k], factors, [bar[k] for bar in bars], [x[k] for x in found])
        measured.add(variant, "forward mode", ratio)


def of_solver(measured, variant, c, f, a, b, outputs, failed):
    """Derivatives by the solver's own arguments, where neither solutions nor products of some of them may leave the range."""
    solver = CALLS[c.call].solver
    solutions = solver.differentiable(outputs)
    if a.size == 0:
        return
    if not all(np.abs(x[~failed]).max(initial=0) < np.finfo(a.dtype).max ** 0.25 for x in solutions):
        measured.notes["beyond the range"] += 1
        return
    rng = np.random.default_rng(c.seed)
    given = solver.given(c, a, b)
    bars = [deviates(rng, x.shape, x.dtype) for x in solutions]
    for bar in bars:
        bar[failed] = 0
    found = gradients.gradient(f, given, bars)
    if gradients.leaves_range(found, f, given, bars):
        measured.notes["beyond the range"] += 1
        return
    measured.add(variant, "finite gradient", gradients.finite(found, failed))
    checked = {solver.check_gradient: [bars, found]}
    if "forward mode" in c.checks:
        moves = [deviates(rng, x.shape, x.dtype) for x in given]
        checked[solver.check_forward] = [bars, found, moves, gradients.derivative(f, given, moves, len(bars))]
    for k in np.flatnonzero(~failed):
        for check, needed in checked.items():
            element = [[x[k] for x in xs] for xs in (outputs, *needed)]
            for name, ratio in check(c, a[k], b[k], *element).items():
                measured.add(variant, name, ratio)
