"""Solutions and gradients of `riccati_benchmarks.py` to 60 digits, by mpmath.

`python tests/riccati_references.py` writes `data/riccati_references.npz` anew: two minutes with gmpy2, else several.

Everything is evaluated at 90 digits; equations for a correction are solved in double precision, which gains as many digits a step as the
problem's condition leaves of 16. With M = e^H X b + s (discrete: a^H X b + s), K = (r [+ b^H X b])^-1 M^H, Ac = a - b K, residual F,

    Ac^H D e + e^H D Ac = -F      discrete   Ac^H D Ac - e^H D e = -F

and X + D is the next iterate. The gradient of <Xb, X>, Xb made Hermitian: P from

    Ac P e^H + e P Ac^H = -Xb     discrete   Ac P Ac^H - e P e^H = -Xb

and then 2 X e P, -2 X e P K^H, P, K P K^H, 2 X Ac P, -2 P K^H for a, b, q, r, e, s (discrete: 2 X Ac P, -2 X Ac P K^H, P, K P K^H, -2 X e
P, -2 P K^H), which `test_riccati_benchmarks.py` compares with differences of solutions.
"""

import numpy as np
import riccati_benchmarks
import scipy.linalg
from mpmath import mp

DIGITS, SETTLED = 90, 1e-65


def solve(problem, start=None):
    """X as a matrix of mpmath; `start` is SciPy's solution if not given."""
    X = mp.matrix((problem.scipys() if start is None else start).tolist())
    for _ in range(80):
        _, Ac, F = closed_loop(problem, X)
        D = _correction(problem, Ac, F, adjoint=True)
        X += D
        if mp.mnorm(D, "f") <= SETTLED * mp.mnorm(X, "f"):
            return X
    raise ValueError(f"Newton's method must settle; it doesn't for {problem.name}")


def closed_loop(problem, X):
    """K, Ac and F."""
    a, b, q, r, e, s = _matrices(problem)
    if problem.kind == "continuous":
        M, R = e.H * X * b + s, r
        image = a.H * X * e + e.H * X * a
    else:
        M, R = a.H * X * b + s, r + b.H * X * b
        image = a.H * X * a - e.H * X * e
    K = mp.inverse(R) * M.H
    return K, a - b * K, image + q - M * K


def gradient(problem, X):
    """name -> cotangent, of <weight, X>; for all six."""
    *_, e, _ = _matrices(problem)
    K, Ac, _ = closed_loop(problem, X)
    weight = mp.matrix(problem.weight.tolist())
    weight = (weight + weight.H) / 2
    P = mp.zeros(e.rows)
    for _ in range(80):
        image = Ac * P * e.H + e * P * Ac.H if problem.kind == "continuous" else Ac * P * Ac.H - e * P * e.H
        D = _correction(problem, Ac, image + weight, adjoint=False)
        P += D
        if mp.mnorm(D, "f") <= SETTLED * mp.mnorm(P, "f"):
            break
    else:
        raise ValueError(f"refinement must settle; it doesn't for {problem.name}")
    left, right, sign = (e, Ac, 2) if problem.kind == "continuous" else (Ac, e, -2)
    XP = 2 * X * left * P
    return {"a": XP, "b": -XP * K.H, "q": P, "r": K * P * K.H, "e": sign * X * right * P, "s": -2 * P * K.H}


def _matrices(problem):
    n, m = problem.b.shape
    e = np.eye(n) if problem.e is None else problem.e
    s = np.zeros((n, m)) if problem.s is None else problem.s
    return [mp.matrix(x.tolist()) for x in (problem.a, problem.b, problem.q, problem.r, e, s)]


def _correction(problem, Ac, F, adjoint):
    """-F's preimage in double precision, Hermitian: with `adjoint` that of the equation for D, else of that for P."""
    size = max(abs(x) for x in F)
    if size == 0:
        return mp.zeros(F.rows)
    Ac, e, F = (to_numpy(x) for x in (Ac, _matrices(problem)[4], F / size))
    if adjoint:
        Ac, e = Ac.conj().T, e.conj().T
    if len(Ac) <= 22:
        terms = ((Ac, e), (e, Ac)) if problem.kind == "continuous" else ((Ac, Ac), (-e, e))
        operator = sum(np.kron(x, y.conj()) for x, y in terms)
        D = np.linalg.solve(operator, -F.ravel()).reshape(F.shape)
    elif problem.kind == "continuous":
        D = scipy.linalg.solve_continuous_lyapunov(Ac, -F)
    else:
        D = scipy.linalg.solve_discrete_lyapunov(Ac, F, method="bilinear")
    D = mp.matrix(D.tolist()) * size
    return (D + D.H) / 2


def to_numpy(matrix):
    entries = np.array(matrix.tolist(), dtype=object)
    return entries.astype(complex if any(isinstance(x, mp.mpc) for x in entries.flat) else float)


def rounded(matrix):
    """`sketch`, rounded once."""
    x = riccati_benchmarks.sketch(np.array(matrix.tolist(), dtype=object))
    return to_numpy(mp.matrix(x.tolist()))


def main():
    found = {}
    with mp.workdps(DIGITS):
        for problem in riccati_benchmarks.problems().values():
            X = solve(problem)
            cotangents = gradient(problem, X)
            for what, matrix in {"x": X, **{name: cotangents[name] for name in problem.given}}.items():
                found[f"{problem.name}.{what}"] = rounded(matrix)
            print(problem.name, flush=True)
    np.savez_compressed(riccati_benchmarks.PATH, **found)


if __name__ == "__main__":
    main()
