"""Calls leave nothing behind: the size of a process of its own, tests/leaking.py, in which functions and their gradients are called again
and again, eagerly and in a graph whose shapes change."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from every_call import calls

# A tensor takes some 600 bytes, and nothing that is left of a call is smaller. What malloc can't give back comes in pages.
SMALLEST, PAGES, COUNT = 600, 8, 150


@pytest.mark.slow
@pytest.mark.parametrize("names", [["control", "qz", "eigvals"], sorted(calls().keys() - {"qz", "eigvals"})], ids=["two", "the others"])
def test_resident_memory(names):
    program = Path(__file__).parent / "leaking.py"
    done = subprocess.run([sys.executable, program, str(COUNT), *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result.pop("name") for result in results] == names
    for name, result in zip(names, results):
        for where, growth in result.items():
            assert growth < SMALLEST / 2 + PAGES * 4096 / COUNT, (name, where)
