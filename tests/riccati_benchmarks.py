"""Benchmarks of algebraic Riccati equations, and how far a solution and its gradient are from those of 60 digits.

CAREX and DAREX are the collections of P. Benner, A. J. Laub and V. Mehrmann, "A collection of benchmark examples for the numerical
solution of algebraic Riccati equations", I (continuous time) and II (discrete time), 1995, with the default parameters, as SciPy's tests
have them. Left out are CAREX 11, whose closed loop is on the imaginary axis, so that there is no derivative, and CAREX 20 for its size.
The references are in `data/riccati_references.npz`, which `riccati_references.py` made.
"""

import dataclasses
from pathlib import Path

import numpy as np
import scipy.linalg
from scipy.linalg.tests import test_solvers as scipys

PATH = Path(__file__).parent / "data" / "riccati_references.npz"
SCIPYS = {"continuous": scipy.linalg.solve_continuous_are, "discrete": scipy.linalg.solve_discrete_are}
NAMES = "a", "b", "q", "r", "e", "s"
LARGE = 24  # columns from which on only products with a few columns of signs are kept


@dataclasses.dataclass(frozen=True)
class Problem:
    name: str
    kind: str
    a: np.ndarray
    b: np.ndarray
    q: np.ndarray
    r: np.ndarray
    e: np.ndarray | None = None
    s: np.ndarray | None = None

    @property
    def given(self):
        """What is not None, by name."""
        return {name: getattr(self, name) for name in NAMES if getattr(self, name) is not None}

    @property
    def weight(self):
        """The cotangent of X: not Hermitian, of few bits and the same on each machine."""
        return scattered(self.a.shape, self.a.dtype)

    def scipys(self):
        return SCIPYS[self.kind](**self.given)


def scattered(shape, dtype=float):
    """Numbers between -1.6 and 1.6 without a pattern, of 7 bits each."""
    k = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    x = ((37 * k * k + 11 * k) % 101 - 50) / 32
    return (x + 1j * ((29 * k * k + 41 * k + 7) % 103 - 51) / 32 if np.dtype(dtype).kind == "c" else x).astype(dtype)


def sketch(x):
    """x, or of a large one its products with four columns of signs: the norm of their error estimates that of x's."""
    if x.shape[1] < LARGE:
        return x
    k = np.arange(4 * x.shape[1]).reshape(-1, 4)
    return x @ np.where(k * (k + 3) * (2 * k + 1) // 7 % 11 < 5, 1, -1)


def problems():
    """By name. All matrices of a problem have one dtype; q and r are Hermitian to the last bit."""
    kinds = {
        "carex": ("continuous", scipys.TestSolveContinuousAre.cases, 1),
        "darex": ("discrete", scipys.TestSolveDiscreteAre.cases[4:], 1),
        "scipy": ("discrete", scipys.TestSolveDiscreteAre.cases[:4], 0),
    }
    found = [
        _problem(f"{name}-{j}", kind, *case[:4]) for name, (kind, cases, first) in kinds.items() for j, case in enumerate(cases, first)
    ]
    data = scipys._load_data("gendare_20170120_data.npz")
    found.append(_problem("weights", "discrete", *(data[name] for name in "ABQR"), s=data["S"]))
    found += [_descriptor(kind, dtype) for kind in SCIPYS for dtype in ("float64", "complex128")]
    return {problem.name: problem for problem in found if problem.name not in ("carex-11", "carex-20")}


def _descriptor(kind, dtype):
    """One with e and s, of five states; [q s; s^H r] is definite."""
    a, b, e = scattered((9, 5), dtype)[4:], scattered((9, 2), dtype)[4:], scattered((5, 5), dtype) + 3 * np.eye(5)
    c = scattered((7, 7), dtype)
    weights = c @ c.conj().T / 4 + np.eye(7)
    name = f"descriptor-{kind}-{dtype}"
    return _problem(name, kind, a, b, weights[:5, :5], weights[5:, 5:], e, weights[:5, 5:])


def _problem(name, kind, a, b, q, r, e=None, s=None):
    a, b, q, r = (np.atleast_2d(np.asarray(x)) for x in (a, b, q, r))
    dtype = np.result_type(a, b, q, r, np.float64)
    q, r = (x / 2 + x.conj().T / 2 for x in (q, r))
    return Problem(name, kind, *(None if x is None else np.asarray(x, dtype) for x in (a, b, q, r, e, s)))


def references():
    """name -> {"x": X, "a": its gradient with respect to a, ...}: of <weight, X>, and `sketch` of each."""
    found = {}
    with np.load(PATH) as data:
        for key, value in data.items():
            name, _, what = key.partition(".")
            found.setdefault(name, {})[what] = value
    return found


def value_error(x, reference):
    """Frobenius norms, relative."""
    return np.linalg.norm(sketch(x) - reference["x"]) / np.linalg.norm(reference["x"])


def gradient_error(gradient, reference):
    """Frobenius norms, relative to each cotangent; the largest of them. One that is 0 but for rounding counts by the largest."""
    norms = {name: np.linalg.norm(reference[name]) for name in gradient}
    negligible = np.finfo(float).eps * max(norms.values())
    return max(
        np.linalg.norm(sketch(x) - reference[name]) / (norms[name] if norms[name] > negligible else max(norms.values()))
        for name, x in gradient.items()
    )
