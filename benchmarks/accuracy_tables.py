"""The tables of `accuracy.py`. What is printed is returned too."""

import drges
import nearby
import numpy as np
import tensorflow as tf

import tfqz
from tfqz import _backends
from tfqz._derivative import equations as triangular

DTYPES = "float32", "float64", "complex64", "complex128"
SIZES = {"native": (1, 2, 5, 10, 16, 17, 40, 100), "scipy": (1, 2, 5, 10, 16, 17, 40, 100), "graph": (1, 2, 5, 10, 16, 17)}
LARGE = {300: (17, 21, 26), 1000: (26,)}
SEPARATIONS = [10.0**-k for k in range(11)]


def ratios(a, b, s, t, q, z):
    """|A - Q S Z^H| / (n eps |A|) or that of B, and |I - Q^H Q| / (n eps) or that of Z, the larger one."""
    n, eps = len(a), float(np.finfo(s.dtype).eps)
    a, b, s, t, q, z = (x.astype(np.result_type(x, np.float64)) for x in (a, b, s, t, q, z))
    residuals = [0.0]
    for x, factor in ((a, s), (b, t)):
        scale = np.abs(x).max()
        if scale == 0:
            residuals.append(float(np.abs(factor).max() != 0) * np.inf if factor.any() else 0.0)
            continue
        error = x / scale - q @ (factor / scale) @ z.conj().T
        residuals.append(np.linalg.norm(error, 1) / (n * eps * np.linalg.norm(x / scale, 1)))
    unitarity = max(np.linalg.norm(np.eye(n) - x.conj().T @ x, 1) / (n * eps) for x in (q, z))
    return float(max(residuals)), float(unitarity)


def of_factors(backend, quick):
    """For each dtype the worst ratios, and of which type and size; all types of a size in a batch, and each by itself."""
    found = []
    for dtype in DTYPES:
        worst = {"dtype": dtype, "residual": (0.0, 0, 0), "unitarity": (0.0, 0, 0), "pencils": 0, "failed": 0}

        def note(kind, a, b, factors, worst=worst):
            n = len(a)
            worst["pencils"] += 1
            if not np.isfinite(factors[0]).all():
                worst["failed"] += 1
                return
            for key, ratio in zip(("residual", "unitarity"), ratios(a, b, *factors)):
                worst[key] = max(worst[key], (ratio, kind, n))

        for n in SIZES[backend][: 4 if quick else None]:
            pencils = [drges.pencil(kind, n, dtype, np.random.default_rng([kind, n])) for kind in drges.TYPES]
            a, b = (np.stack(x) for x in zip(*pencils))
            together = [x.numpy() for x in tfqz.qz(a, b, backend=backend, on_failure="nan")]
            for i, kind in enumerate(drges.TYPES):
                note(kind, a[i], b[i], [x[i] for x in together])
                if backend == "native":
                    note(kind, a[i], b[i], [x.numpy() for x in tfqz.qz(a[i], b[i], on_failure="nan")])
        for n, kinds in (LARGE if backend == "native" and not quick else {}).items():
            for kind in kinds:
                a, b = drges.pencil(kind, n, dtype, np.random.default_rng([kind, n]))
                note(kind, a, b, [x.numpy() for x in tfqz.qz(a, b, on_failure="nan")])
        found.append(worst)
    return found


def gradients(quick):
    import accuracy_figure

    found = {"errors": [], "beside others": accuracy_figure.errors(SEPARATIONS[:: 4 if quick else 1])}
    print(f"{'pair':10} {'dtype':11} {'separation':>10} {'amplification':>13} {'error':>9} {'over eps times bound':>20}")
    for kind in nearby.KINDS:
        for dtype in DTYPES:
            for separation in SEPARATIONS[1 : 5 if dtype in ("float32", "complex64") else 9 : 2]:
                rows = nearby.gradient_errors(kind, separation, dtype, count=1 if quick else 5)
                error, amplification, ratio = max(rows, key=lambda row: row[2])
                found["errors"].append({"kind": kind, "dtype": dtype, "separation": separation, "error": error, "ratio": ratio})
                print(f"{kind:10} {dtype:11} {separation:10.0e} {amplification:13.1e} {error:9.1e} {ratio:20.2f}", flush=True)
    return found


def equations(quick):
    """|residual| / (n eps (|S| + |T|) |X|), in the Frobenius norm."""
    found = []
    print(f"{'solver':10} {'dtype':11} {'backward error / (n eps)':>24} of separation, n")
    for native in (True, False):
        for dtype in DTYPES:
            worst = (0.0, 0, 0)
            for n in (5, 40) if quick else (5, 17, 40, 130):
                for separation in (1.0, 1e-2, float(np.finfo(dtype).eps) ** 0.5, 0.0):
                    rng = np.random.default_rng(n)
                    S, T, M, N = (rng.standard_normal((4, n, n)) + (1j * rng.standard_normal((4, n, n)) if dtype[0] == "c" else 0)).astype(
                        dtype
                    )
                    S, T, M, N = np.triu(S), np.triu(T), np.tril(M, -1), np.tril(N, -1)
                    if separation < 1:  # the second eigenvalue from the first
                        S[1, 1], T[1, 1] = S[0, 0] * (1 + separation), T[0, 0]
                    X, V = (x.numpy() for x in triangular.solve(*map(tf.constant, (S, T, M, N)), native=native))
                    if separation == 0:  # where there is none its right-hand side stays
                        M[1, 0], N[1, 0] = (X @ S - S @ V)[1, 0], (X @ T - T @ V)[1, 0]
                    left = [np.tril(X @ x - x @ V, -1) - y for x, y in ((S, M), (T, N))]
                    size = (np.linalg.norm(S) + np.linalg.norm(T)) * np.linalg.norm([X, V])
                    worst = max(worst, (float(np.linalg.norm(left) / (n * np.finfo(dtype).eps * size)), separation, n))
            solver = "C++" if native else "TensorFlow"
            found.append({"solver": solver, "dtype": dtype, "error": worst})
            print(f"{solver:10} {dtype:11} {worst[0]:24.3f} {worst[1]:8.0e}, {worst[2]}", flush=True)
    return found


def order(quick):
    """Two nearly defective pairs of eigenvalues on top of each other, B = I, with larger and larger entries between: of so many the
    first pair is to come last."""
    found, count = [], 20 if quick else 200
    print(f"{'entries':>8} " + "  ".join(f"{backend:>8}: refused, worst residual" for backend in _backends.BACKENDS))
    for size in (1.0, 1e2, 1e4, 1e6):
        rng = np.random.default_rng(0)
        a = np.zeros((count, 4, 4))
        for block in (0, 2):
            a[:, block, block] = a[:, block + 1, block + 1] = a[:, block, block + 1] = 1
            a[:, block + 1, block] = -rng.uniform(1, 3, count) * 1e-16
        a[:, :2, 2:] = size * rng.uniform(-1, 1, (count, 2, 2))
        eye = np.broadcast_to(np.eye(4), a.shape)
        factors, labels = [tf.constant(x) for x in (a, eye, eye, eye)], tf.constant([[0, 0, 1, 1]] * count)
        row = {"entries": size}
        for backend in _backends.BACKENDS:
            moved = [x.numpy() for x in _backends.choose(backend).reorder(factors, labels, "nan")][:4]
            refused = ~np.isfinite(moved[0]).all(axis=(1, 2))
            kept = [max(ratios(a[i], eye[i], *(x[i] for x in moved))) for i in np.flatnonzero(~refused)]
            row[backend] = int(refused.sum()), max(kept, default=0.0)
        found.append(row)
        print(f"{size:8.0e} " + "  ".join(f"{'':>8}  {row[x][0]:4} of {count}, {row[x][1]:9.3f} " for x in _backends.BACKENDS), flush=True)
    return found
