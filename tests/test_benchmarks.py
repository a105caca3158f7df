"""The benchmark program at tiny sizes: that it says what it should, never how fast."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
OVERRIDES = "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"
ENVIRONMENT = "tensorflow", "scipy", "openblas", "cpu", "cores", "simd", "threads"


def run(*arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if name not in OVERRIDES} | variables
    return subprocess.run([sys.executable, FOLDER / "run.py", *arguments], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("name", OVERRIDES)
def test_refuses_what_overrides_kernels(name):
    done = run("overhead", **{name: "Haswell"})
    assert done.returncode != 0 and name in done.stderr


def test_names_of_tables():
    done = run("speed")
    assert done.returncode != 0 and "tables are times, overhead, xla, memory, ratios; got speed" in done.stderr


def test_environment():
    """All that figures come with."""
    program = "import json, environment; print(json.dumps(environment.describe()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=FOLDER)
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout)
    for key in ENVIRONMENT:
        assert described[key], key


@pytest.mark.slow
def test_tables(tmp_path):
    file, figure = tmp_path / "times.json", tmp_path / "times.png"
    small = ("--quick", "--max-n", "16", "--max-batch", "4", "--dtype", "float64")
    done = run(*small, "--json", file, "--figure", figure)
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text())
    for key in ENVIRONMENT:
        assert results["environment"][key], key
    assert results["settings"]["mode"] == "quick"

    times = results["times"]
    assert {(x["measure"], x["batch"], x["n"]) for x in times} == {
        (measure, *case) for measure in ("forward", "step") for case in ((1, 4), (1, 8), (1, 16), (4, 8))
    }
    assert {"tfqz", "tfqz, tf.function", "SciPy", "TF eig(solve)", "product"} <= {x["way"] for x in times}
    assert all(0 < x["min"] <= x["median"] and x["turns"] >= 3 for x in times)
    assert len(results["overhead"]) == 6
    assert [x["n"] for x in results["xla"]] == [16] and results["xla"][0]["run"]["median"] > 0
    assert [x["mode"] for x in results["memory"]] == ["tfqz", "tfqz, tf.function"]

    ratios = results["ratios"]
    count = {"SciPy / tfqz": 10, "tfqz / LAPACK in C": 8, "forward + backward: torch eig / tfqz": 3, "memory of a backward pass / n^2": 1}
    count |= {"backward / forward, tfqz": 14, "backward / forward, tfqz, tf.function": 14, "backward / forward, tfqz, XLA": 6}
    for measure, rows in count.items():
        assert sum(x["measure"] == measure for x in ratios) == rows, measure
    assert len(ratios) == sum(count.values())
    for x in ratios:
        if (x["batch"], x["n"]) == (1, 16):  # the modes' backward passes
            assert set(x["parts"]) == {"difference", "direct"} and x["measured"] == max(x["parts"].values())
            assert x["holds"] == (x["measured"] <= x["bound"])
        else:
            assert x["measured"] is None and x["holds"] is None and x["note"]

    if importlib.util.find_spec("matplotlib"):
        figure.unlink()
        assert run("--draw", file, "--figure", figure).returncode == 0
        assert 10_000 < figure.stat().st_size < 120_000
    else:
        assert "matplotlib is not installed" in done.stdout


@pytest.mark.slow
def test_accuracy(tmp_path):
    """What takes no minutes of it."""
    file = tmp_path / "accuracy.json"
    done = subprocess.run(
        [sys.executable, FOLDER / "accuracy.py", "order", "equations", "--quick", "--json", file], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text())
    for row in results["order"]:
        assert row["scipy"][0] == 20 and row["native"][0] == row["graph"][0] == 0
        assert max(row["native"][1], row["graph"][1]) < 30
    assert len(results["equations"]) == 8 and all(row["error"][0] < 1 for row in results["equations"])
    done = subprocess.run([sys.executable, FOLDER / "accuracy.py", "speed"], capture_output=True, text=True)
    assert done.returncode != 0 and "tables are factors, gradients, equations, order; got speed" in done.stderr
