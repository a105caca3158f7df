"""What a run says: failing cases as tests, and a summary of all cases."""

import collections
import dataclasses

import numpy as np

from fuzz_values.measure import Configuration


def as_test(seed, c, a, b, failures, case):
    """The text of a test, to paste."""
    return f'''
import fuzz_values
import numpy as np


def test_fuzzed_{seed}():
    """Seed {seed}, made smaller: {case}."""
    a = {_array(a)}
    b = {_array(b)}
    configuration = fuzz_values.{_configuration(c)}
    assert fuzz_values.failures(configuration, a, b) == []  # {failures}
'''


def _array(x):
    if x.size == 0:
        return f'np.zeros({x.shape}, "{x.dtype}")'
    return f'np.array({_nested(x)}, "{x.dtype}")'


def _nested(x):
    return _number(x[()]) if x.ndim == 0 else "[" + ", ".join(_nested(np.asarray(part)) for part in x) + "]"


def _number(x):
    """As short as it can be read back."""
    if np.iscomplexobj(x):
        return _number(x.real) if x.imag == 0 and not np.signbit(x.imag) else f"complex({_number(x.real)}, {_number(x.imag)})"
    return str(int(x)) if x == np.round(x) and abs(x) < 1e6 and not (x == 0 and np.signbit(x)) else str(x)


def _configuration(c):
    given = [(field.name, getattr(c, field.name)) for field in dataclasses.fields(c) if getattr(c, field.name) != field.default]
    if not any(name == "call" for name, _ in given):
        given.insert(0, ("call", c.call))
    return f"{Configuration.__name__}({', '.join(f'{name}={value!r}' for name, value in given)})"


class Summary:
    """Counts and worst ratios of many cases."""

    def __init__(self):
        self.cases = 0
        self.counts = {kind: collections.Counter() for kind in ("call", "dtype", "structure", "variant", "check")}
        self.notes = collections.Counter()
        self.worst = {}
        self.failures = {}

    def add(self, done):
        """What a child says of a case."""
        self.cases += 1
        for kind, counter in self.counts.items():
            counter.update(done[kind] if isinstance(done[kind], list) else [done[kind]])
        self.notes.update(done["notes"])
        for variant, name, ratio in done["ratios"]:
            if ratio <= 1 and ratio >= self.worst.get(name, (-1,))[0]:
                self.worst[name] = (ratio, variant, done["seed"])

    def add_failure(self, key, seed, text):
        """Whether it is the first of its kind."""
        seeds = self.failures.setdefault(key, [])
        seeds.append(seed)
        if len(seeds) == 1:
            print(text, flush=True)

    def __str__(self):
        lines = [f"{self.cases} cases, {sum(map(len, self.failures.values()))} failures of {len(self.failures)} kinds"]
        for kind, counter in self.counts.items():
            lines.append(f"by {kind}: " + ", ".join(f"{name} {count}" for name, count in counter.most_common()))
        lines.append("excused: " + (", ".join(f"{name} {count}" for name, count in self.notes.most_common()) or "none"))
        lines.append("worst ratios of error and bound:")
        for name, (ratio, variant, seed) in sorted(self.worst.items()):
            lines.append(f"  {name}: {ratio:.3g} ({variant}, seed {seed})")
        for key, seeds in self.failures.items():
            lines.append(f"FAILED {key}: {len(seeds)}, seeds {seeds[:8]}")
        return "\n".join(lines)
