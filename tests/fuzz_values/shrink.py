"""Makes a failing case small: fewer variants, elements, checks, options, rows and columns, simpler entries, as long as it fails alike."""

import dataclasses
import time

import numpy as np

from fuzz_values.measure import measure
from fuzz_values.properties import exponent_of, times


class Shrinking:
    """A case that fails with a property, in the end a small one. `seconds`: after which what there is has to do."""

    def __init__(self, c, a, b, name, seconds=60.0):
        self.c, self.a, self.b, self.name = c, a, b, name
        self.end = time.monotonic() + seconds

    def fails(self, c, a, b):
        return any(name == self.name for _, name in measure(c, a, b).failures())

    def accept(self, c, a, b):
        """Takes the place of the present case if it is another one and fails; whether it did."""
        if time.monotonic() > self.end or (c == self.c and _same(a, self.a) and _same(b, self.b)):
            return False
        if not self.fails(c, a, b):
            return False
        self.c, self.a, self.b = c, a, b
        return True

    def run(self):
        """The configuration, a and b."""
        self.variants()
        self.elements()
        self.options()
        while any([self.scales(), self.lines(), self.entries()]):
            pass
        self.options()
        return self.c, self.a, self.b

    def variants(self):
        for variant in self.c.variants:
            if self.accept(dataclasses.replace(self.c, variants=(variant,)), self.a, self.b):
                return

    def elements(self):
        """One alone; else halves, then one after the other."""
        if any(self.only([k]) for k in range(len(self.a))):
            return
        size = len(self.a) // 2
        while size:
            start = 0
            while start < len(self.a) and len(self.a) > 1:
                left = [k for k in range(len(self.a)) if not start <= k < start + size]
                if not left or not self.only(left):
                    start += size
            size //= 2

    def only(self, places):
        c = self.c
        if c.failing is not None:
            c = dataclasses.replace(c, failing=places.index(c.failing) if c.failing in places else None)
        return self.accept(c, self.a[places], self.b[places])

    def options(self):
        self.accept(dataclasses.replace(self.c, checks=()), self.a, self.b)
        for check in self.c.checks:
            self.accept(dataclasses.replace(self.c, checks=tuple(x for x in self.c.checks if x != check)), self.a, self.b)
        for change in (
            {"output": "real"},
            {"sort": "lhp"},
            {"tolerance": 0.0},
            {"balance": False},
            {"rank": None},
            {"rank": 1},
            {"seed": 0},
        ):
            if change != {"rank": 1} or self.c.rank:
                self.accept(dataclasses.replace(self.c, **change), self.a, self.b)

    def scales(self):
        """Largest entries near 1."""
        found = False
        for of_a, of_b in ((True, True), (True, False), (False, True)):
            a, b = (np.stack([times(x, -exponent_of(x)) for x in xs]) if of else xs for xs, of in ((self.a, of_a), (self.b, of_b)))
            found |= self.accept(self.c, a, b)
        return found

    def lines(self):
        """Without a row and the column of the same number; of rectangular ones without either."""
        found = False
        for axes in ((1, 2), (1,), (2,)):
            k = 0
            while k < min(self.a.shape[axis] for axis in axes):
                square = self.a.shape[1] == self.a.shape[2]
                if square and len(axes) == 1:
                    break
                a, b = self.a, self.b
                for axis in axes:
                    a, b = np.delete(a, k, axis), np.delete(b, k, axis)
                if min(a.shape[1:]) < (self.c.rank or 1) or not self.accept(self.c, a, b):
                    k += 1
                else:
                    found = True
        return found

    def entries(self):
        """To 0, 1, a power of two, or fewer digits; all together first."""
        found = False
        for simpler in (np.round, lambda x: _rounded(x, 1), lambda x: _rounded(x, 3)):
            for which in (0, 1):
                pair = [self.a, self.b]
                pair[which] = simpler(pair[which])
                found |= self.accept(self.c, *pair)
        for which in (0, 1):
            for place in range((self.a, self.b)[which].size):
                pair = [self.a.copy(), self.b.copy()]
                entry = pair[which].flat[place]
                for simpler in _simpler(entry):
                    pair[which].flat[place] = simpler
                    if self.accept(self.c, pair[0].copy(), pair[1].copy()):
                        found = True
                        break
        return found


def _same(x, y):
    return x.shape == y.shape and x.tobytes() == y.tobytes()


def _rounded(x, digits):
    """To as many decimal digits, real and imaginary parts, each as far as it is finite."""
    texts = np.vectorize(lambda part: float(f"{part:.{digits - 1}e}"), otypes=[float])
    with np.errstate(over="ignore"):
        parts = [texts(part) if part.size else part for part in (x.real, x.imag)]
        y = (parts[0] + 1j * parts[1] if np.iscomplexobj(x) else parts[0]).astype(x.dtype)
    return np.where(np.isfinite(y), y, x)


def _simpler(x):
    """Numbers simpler than this one, the simplest first."""
    if x == 0:
        return []
    found = [0, 1, -1]
    if np.iscomplexobj(x) and x.imag != 0:
        found += [x.real, 1j * x.imag]
    largest = max(abs(x.real), abs(x.imag))
    found += [2.0 ** np.floor(np.log2(float(largest))), _rounded(np.asarray(x), 1)[()], _rounded(np.asarray(x), 2)[()]]
    return found[: next((k for k, y in enumerate(found) if y == x), len(found))]
