"""The fuzzer of values, tests/fuzz_values: a few of its cases, and that it finds faults, makes them small and tells of them."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from fuzz_values import __main__ as parent
from fuzz_values import calls, child, configurations, gradients, measure, pencils, report

import tfqz
from tfqz._backends import native

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="the op library doesn't load")
WIDTHS = measure.widths() if native.why_not() is None else []


def cases(count, **wanted):
    """The first ones by seed that are as wanted, of square pencils and the native backend."""
    seed, found = 0, []
    while len(found) < count:
        case = configurations.case(seed, WIDTHS)
        c = case.configuration
        plain = "scipy" not in c.variants and "graph" not in c.variants and case.a.shape[1] == case.a.shape[2] and c.rank is None
        if plain and not c.balance and all(getattr(c, name) in value for name, value in wanted.items()):
            found.append(case)
        seed += 1
    return found


@pytest.mark.slow_if("ordqz", "eigvals")
@pytest.mark.parametrize("call", ["qz", "ordqz", "eigvals", "schur"])
def test_some_cases(call):
    """Of which none may fail, in a few seconds."""
    for case in cases(8, call=[call]):
        c = dataclasses.replace(case.configuration, checks=tuple(x for x in case.configuration.checks if x != "gradient" or call == "qz"))
        assert measure.failures(c, case.a, case.b) == [], case


SOLVERS = [name for name, call in calls.CALLS.items() if call.solver is not None]
MOST_SOLVERS = pytest.mark.slow_if("are", "lyapunov", "generalized", "zeros")


@MOST_SOLVERS
@pytest.mark.parametrize("call", SOLVERS)
def test_some_solvers(call):
    """With derivatives, of one backend."""
    for case in cases(2, call=[call]):
        c = dataclasses.replace(case.configuration, checks=("gradient", "forward mode"), variants=("native",))
        assert measure.failures(c, case.a, case.b) == [], case


@MOST_SOLVERS
@pytest.mark.parametrize("call", SOLVERS)
def test_solvers_of_next_to_nothing(call):
    for n in (0, 1):
        a = np.ones((2, n, n))
        assert measure.failures(measure.Configuration(call, checks=("gradient", "forward mode")), a, 2 * a) == []


@MOST_SOLVERS
@pytest.mark.parametrize("call", [name for name in SOLVERS if name != "transmission_zeros"])
def test_wrong_derivatives_of_solvers_are_found(call, monkeypatch):
    """A gradient that is wrong by a thousandth, of one argument; a derivative along a direction that is."""
    solver = calls.CALLS[call].solver
    right = solver.solve

    @tf.custom_gradient
    def wrongly(x):
        return tf.identity(x), lambda bar: 1.001 * bar

    def failures(*checks):
        a = b = np.array([[[1.0, 0.5], [0.25, 2.0]]])
        configuration = measure.Configuration(call, checks=checks)
        return len(solver.given(configuration, a, b)), measure.failures(configuration, a, b)

    count, found = failures("gradient", "forward mode")
    assert found == []
    for place in range(count):

        def wrong(self, *arguments, **options):
            return right(*(wrongly(x) if k == place else x for k, x in enumerate(arguments)), **options)

        monkeypatch.setattr(type(solver), "solve", wrong)
        assert failures("gradient")[1] == ["native: adjoint"]
    monkeypatch.undo()
    derivative = gradients.derivative
    monkeypatch.setattr(gradients, "derivative", lambda *arguments: [1.001 * x for x in derivative(*arguments)])
    assert failures("gradient", "forward mode")[1] == ["native: forward mode"]


@pytest.mark.slow
def test_programs_of_xla():
    for call in ("qz", "eigvals", "deflating_subspace", "solve_continuous_are", "klein"):
        (case,) = cases(1, call=[call])
        c = dataclasses.replace(case.configuration, checks=("gradient",), variants=("native xla",))
        assert measure.failures(c, case.a, case.b) == [], case


@pytest.mark.slow
def test_a_minute():
    """As `make fuzz` does it."""
    here = Path(__file__).resolve().parent
    path = os.pathsep.join([str(Path(tfqz.__file__).resolve().parent.parent), str(here)])
    command = [sys.executable, "-m", "fuzz_values", "--seconds", "60", "--seed", "0"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stdout[-5000:]
    assert "worst ratios" in done.stdout and "by structure: " in done.stdout


def test_the_same_seed_is_the_same_case():
    for seed in (3, 14):
        first, second = (configurations.case(seed, WIDTHS) for _ in range(2))
        assert first.configuration == second.configuration and first.a.tobytes() == second.a.tobytes()


@pytest.mark.parametrize("structure", pencils.STRUCTURES)
def test_structures(structure):
    """Of all sizes and dtypes, finite."""
    for dtype in configurations.DTYPES:
        for m, n in ((0, 0), (1, 1), (2, 2), (5, 5), (9, 9), (3, 5), (4, 2)):
            if m == n or structure in pencils.OF_ANY_SHAPE:
                for seed in range(4):
                    a, b = pencils.pencil(np.random.default_rng(seed), structure, m, n, dtype)
                    assert a.shape == b.shape == (m, n) and a.dtype == b.dtype == dtype
                    assert np.isfinite(a).all() and np.isfinite(b).all()


def wrong_in_one_entry(c, backend, a, b):
    """Of pencils with three rows or more."""
    s, t, q, z = calls.run_qz(c, backend, a, b)
    if s.shape[-1] < 3:
        return s, t, q, z
    wrong = np.zeros(s.shape[-2:])
    wrong[0, 2] = 1e-3
    return s + tf.constant(wrong, s.dtype) * tf.reduce_max(tf.abs(s)).numpy(), t, q, z


@pytest.mark.slow
def test_an_injected_fault_is_found(monkeypatch):
    """Made as small as it can be, and printed as a test that fails as long as the fault is there."""
    large = [x for x in cases(60, call=["qz"], output=["real"]) if 4 <= x.a.shape[-1] <= 6 and 2 <= len(x.a) <= 6]
    case = dataclasses.replace(large[0], configuration=dataclasses.replace(large[0].configuration, checks=()))
    monkeypatch.setitem(calls.CALLS, "qz", dataclasses.replace(calls.CALLS["qz"], run=wrong_in_one_entry))
    measured = measure.measure(case.configuration, case.a, case.b)
    found = dict(child.explained(case, measured, set(), seconds=20))
    text = found["qz: residual: native"]
    assert f"seed {case.seed}: " in text
    names = {}
    exec(text[text.index("import fuzz_values") :], names)
    test = names[f"test_fuzzed_{case.seed}"]
    with pytest.raises(AssertionError):
        test()
    small = small_case(text)
    assert small.a.shape == small.b.shape == (1, 3, 3) and len(small.configuration.variants) == 1 and not small.configuration.checks
    assert np.count_nonzero(small.a) + np.count_nonzero(small.b) <= 3
    monkeypatch.undo()
    test()


def small_case(text):
    """What a printed test is about."""
    lines = [line.strip() for line in text.splitlines()]
    names = {"np": np, "fuzz_values": measure}
    exec("\n".join(line for line in lines if line.startswith(("a = ", "b = ", "configuration = "))), names)
    return configurations.Case(0, names["configuration"], "", names["a"], names["b"])


@pytest.mark.parametrize("dtype", configurations.DTYPES)
def test_printed_numbers_are_read_back(dtype, rng):
    limits = np.finfo(dtype)
    x = rng.standard_normal(12).astype(dtype)
    x[:5] = [0.0, -0.0, limits.max, limits.smallest_subnormal, -limits.tiny]
    if np.dtype(dtype).kind == "c":
        x[5:8] = [complex(0.0, -0.0), complex(-0.0, 1), complex(1, -limits.tiny)]
    x = x.reshape(1, 3, 4)
    a, b = np.zeros((1, 0, 4), dtype), x
    text = report.as_test(1, measure.Configuration("qz", seed=3), a, b, [], "case")
    found = small_case(text)
    assert found.configuration == measure.Configuration("qz", seed=3)
    assert found.a.shape == a.shape and found.b.dtype == dtype and found.b.tobytes() == x.tobytes()


@pytest.mark.parametrize("program, words", [("import os; os.abort()", "status -6"), ("import time; time.sleep(60)", "no answer within")])
def test_crashes_and_hangs_name_their_seed(program, words):
    say = 'import json; print(json.dumps({"start": 17, "case": "qz"}), flush=True); '
    process = subprocess.Popen([sys.executable, "-c", say + program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    seed, problem, case = parent.follow(process, report.Summary(), patience=3)
    assert seed == 17 and case == "qz" and words in problem
    assert process.wait() != 0
