"""Cases by seed: what is called, in which dtype and sizes, of which pencils. The same seed gives the same case on machines of one width."""

import dataclasses

import numpy as np

from fuzz_values import pencils, sorts
from fuzz_values.calls import CALLS
from fuzz_values.measure import Configuration

DTYPES = ("float32", "float64", "complex64", "complex128")
# How often each is called, of a hundred cases.
WEIGHTS = {"qz": 24, "ordqz": 16, "eigvals": 11, "eig": 10, "deflating_subspace": 10, "schur": 6, "balance": 3}
WEIGHTS |= {"solve_sylvester": 2, "solve_continuous_lyapunov": 2, "solve_continuous_lyapunov, e": 2, "solve_discrete_lyapunov": 2}
WEIGHTS |= {"solve_generalized_sylvester": 2, "klein": 2, "transmission_zeros": 2}
WEIGHTS |= {"solve_continuous_are": 2, "solve_discrete_are": 2, "solve_continuous_are, e": 1, "solve_discrete_are, e": 1}
LARGEST_ALONE = 16  # up to where results are the same bits alone and in a batch
LARGEST_IN_OPS = 4  # of backend "graph", which takes seconds
LARGEST_IN_XLA = 16


@dataclasses.dataclass(frozen=True)
class Case:
    seed: int
    configuration: Configuration
    structure: str
    a: np.ndarray
    b: np.ndarray

    def __str__(self):
        shape = "x".join(map(str, self.a.shape))
        return f"{self.configuration} {self.a.dtype} {shape} {self.structure}"


def size(rng):
    """From 0 to 100, most of them small."""
    kind = rng.random()
    if kind < 0.01:
        return 0
    least, most = (1, 8) if kind < 0.65 else (9, 16) if kind < 0.82 else (17, 40) if kind < 0.95 else (41, 100)
    return int(rng.integers(least, most + 1))


def variants(rng, widths, n, single, compiles):
    """All widths and SciPy; and, seldom, TensorFlow's ops, and XLA."""
    chosen = [f"native {simd}" for simd in widths]
    if n > 40:
        chosen = chosen[:1] + chosen[1:][: rng.integers(0, len(chosen))]
    if rng.random() < 0.15 and n <= 40:
        chosen.append("scipy")
    if single and n <= LARGEST_IN_OPS and rng.random() < 0.04:
        chosen.append("graph")
    if compiles and n <= LARGEST_IN_XLA and rng.random() < 0.03:
        chosen.append("native xla")
    return tuple(chosen) or ("scipy",)


def case(seed, widths):
    rng = np.random.default_rng(seed)
    name = str(rng.choice(list(WEIGHTS), p=np.array(list(WEIGHTS.values())) / 100))
    call = CALLS[name]
    dtype = str(rng.choice(DTYPES))
    m = n = size(rng)
    structure = str(rng.choice(pencils.STRUCTURES))
    if not call.square and rng.random() < 0.25:
        structure = str(rng.choice(list(pencils.OF_ANY_SHAPE)))
        m = size(rng)
        m = m if m * n <= 2000 else n
    is_square, p = m == n, min(m, n)
    rank = int(rng.integers(1, p + 1)) if p and name in ("qz", "ordqz", "eigvals", "deflating_subspace") and rng.random() < 0.08 else None
    balance = rank is None and is_square and name in ("qz", "ordqz", "eigvals", "deflating_subspace") and rng.random() < 0.08
    most = max(1, min(40, 3000 // max(m * n, 1)))
    count = 1 if rng.random() < 0.4 else int(rng.integers(1, most + 1))
    plain = is_square and rank is None and not balance
    checks = []
    if plain and n <= LARGEST_ALONE and rng.random() < 0.4:
        checks.append("alone")
    if plain and name in ("qz", "eigvals", "schur", "ordqz") and rng.random() < 0.2:
        checks.append("scaled")
    if (call.degrees or call.solver) and n <= 64 and rng.random() < 0.6:
        checks.append("gradient")
        shares = {"forward mode": 0.2} if call.solver else {"round trip": 0.5, "forward mode": 0.05}
        checks += [check for check, share in shares.items() if plain and rng.random() < share]
    sort = str(rng.choice(list(sorts.SORTS)))
    c = Configuration(
        call=name,
        variants=variants(rng, widths, max(m, n), count == 1, name != "transmission_zeros"),
        output="complex" if rng.random() < 0.25 else "real",
        sort=sort,
        tolerance=float(rng.choice([0, 0, 1e-3, -1e-3])) if sort in sorts.KEYWORDS else 0.0,
        rank=rank,
        balance=bool(balance),
        checks=tuple(checks),
        failing=int(rng.integers(count)) if count > 1 and n > 0 and m > 0 and rng.random() < 0.1 else None,
        seed=int(rng.integers(2**31)),
    )
    matrices = []
    for k in range(count):
        kind = structure if k % 3 else str(rng.choice(list(pencils.OF_ANY_SHAPE) if m != n else pencils.STRUCTURES)) if k else structure
        matrices.append(pencils.pencil(rng, kind, m, n, dtype))
    return Case(seed, c, structure, *(np.stack(x) for x in zip(*matrices)))
