"""QZ and its derivative at 50 digits, by mpmath: references where central differences of double precision see too little.

Pencils and factors are NumPy arrays of one pencil, factors in SciPy's order S, T, Q, Z, as in `oracles.py`.
"""

import numpy as np
import oracles
from mpmath import mp


def qz(a, b, order, output="real", digits=50):
    """The canonical (s, t, q, z) of a pencil with nonsingular B and distinct eigenvalues, as arrays of mpmath numbers.

    Eigenvectors X of B^-1 A in the given order span the deflating subspaces, so with the QR decompositions X = Z R and
    B Z = Q T, Q^H A Z is upper triangular too. In the real form Re x and Im x stand for a complex pair; the SVD of
    T's block is left to `canonical`.
    """
    real = output == "real" and _is_real(a) and _is_real(b)
    n = len(a)
    with mp.workdps(digits):
        A, B = mp.matrix(a.tolist()), mp.matrix(b.tolist())
        eigenvalues, vectors = mp.eig(mp.inverse(B) * A)
        unused = list(range(n))

        def take(target):
            nearest = min(unused, key=lambda i: abs(eigenvalues[i] - target))
            unused.remove(nearest)
            return nearest

        columns, below = [], []  # `below`: rows of S with a subdiagonal entry
        while len(columns) < n:
            target = mp.mpmathify(complex(order[len(columns)]))
            nearest = take(target)
            x = list(vectors[:, nearest])
            if not real:
                columns.append(x)
            elif target.imag == 0:
                pivot = max(x, key=abs)  # the eigenvector is real up to a phase
                columns.append([mp.re(entry / pivot) for entry in x])
            else:
                take(mp.conj(target))
                columns += [mp.re(entry) for entry in x], [mp.im(entry) for entry in x]
                below.append(len(columns) - 1)
        Z, _ = mp.qr(mp.matrix(columns).T)
        Q, T = mp.qr(B * Z)
        s, t, q, z = (_to_numpy(M) for M in (Q.H * A * Z, T, Q, Z))
        for i in range(n):
            t[i, :i] = s[i, : i - (i in below)] = mp.mpf(0)
        return oracles.canonical(s, t, q, z)


def directional(cotangents, a, b, da, db, order, output="real", digits=50):
    """The derivative of <Sb, S> + <Tb, T> + <Qb, Q> + <Zb, Z> along (da, db), to about 30 of 50 digits.

    `cotangents` = (Sb, Tb, Qb, Zb). A central difference: a step of a third of the digits balances truncation and
    rounding. `order` as in `qz`, so no perturbation reorders the eigenvalues.
    """
    with mp.workdps(digits):
        step = mp.mpf(10) ** (-(digits // 3))

        def functional(h):
            moved = (x.astype(object) + h * dx.astype(object) for x, dx in ((a, da), (b, db)))
            factors = qz(*moved, order, output, digits)
            terms = (np.conj(c).astype(object) * x for c, x in zip(cotangents, factors))
            return mp.re(sum(term.sum() for term in terms))

        return float((functional(step) - functional(-step)) / (2 * step))


def gradient(cotangents, a, b, order, output="real", digits=50):
    """The gradient (Ab, Bb) of the functional of `directional`, to double precision."""

    def along(da, db, scale):
        return directional(cotangents, a, b, scale * da, scale * db, order, output, digits) / scale

    return oracles.by_entries(along, a, b)


def _to_numpy(matrix):
    return np.array(matrix.tolist(), dtype=object)


def _is_real(x):
    return not any(isinstance(entry, (complex, mp.mpc)) for entry in np.ravel(x).tolist())
