"""Gradient error against the distance of two eigenvalues: tfqz beside the detour through eig(B^-1 A) in torch and TensorFlow."""

import nearby
import numpy as np
import tensorflow as tf
from mpmath import mp

import tfqz

try:
    import torch
except ImportError:
    torch = None

N, DRAWS = 5, 5
FUNCTIONS = {"sum": "the sum of the squares of all eigenvalues", "vector": "a projector onto one eigenvector"}
STYLES = {"tfqz": ("#1f4e9c", "o"), "TensorFlow eig(solve)": ("#3c9d5d", "v"), "torch eig(solve)": ("#dd7a1c", "^")}


def of_sum(values, vectors, target, weights, lib):
    return lib.real(lib.sum(values**2))


def of_vector(values, vectors, target, weights, lib):
    """Re tr(weights P), P onto the eigenvector whose eigenvalue is nearest the target."""
    v = lib.take(vectors, int(np.argmin(abs(lib.numpy(values) - target))))
    return lib.real(lib.sum(lib.conj(v)[:, None] * weights * v[None, :])) / lib.real(lib.sum(lib.conj(v) * v))


class _TensorFlow:
    real, sum, conj = tf.math.real, tf.reduce_sum, tf.math.conj
    take = staticmethod(lambda x, j: x[:, j])
    numpy = staticmethod(lambda x: x.numpy())


class _Torch:
    real, sum, conj = (getattr(torch, name, None) for name in ("real", "sum", "conj"))
    take = staticmethod(lambda x, j: x[:, j])
    numpy = staticmethod(lambda x: x.detach().numpy())


def by_tensorflow(f, a, b, target, weights, eig):
    tensors = [tf.constant(x) for x in (a, b)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = f(*eig(*tensors), target, tf.constant(weights, tf.complex128), _TensorFlow)
    return [x.numpy() for x in tape.gradient(value, tensors)]


def by_torch(f, a, b, target, weights):
    tensors = [torch.tensor(x, requires_grad=True) for x in (a, b)]
    values, vectors = torch.linalg.eig(torch.linalg.solve(tensors[1], tensors[0]))
    f(values, vectors, target, torch.tensor(weights, dtype=torch.complex128), _Torch).backward()
    return [x.grad.numpy() for x in tensors]


WAYS = {
    "tfqz": lambda *x: by_tensorflow(*x, tfqz.eig),
    "TensorFlow eig(solve)": lambda *x: by_tensorflow(*x, lambda a, b: tf.linalg.eig(tf.linalg.solve(b, a))),
}
if torch is not None:
    WAYS["torch eig(solve)"] = by_torch


def expected(kind, a, b, target, weights):
    """The gradient to double precision, by central differences of 50 digits."""
    n = len(a)
    with mp.workdps(50):
        step = mp.mpf(10) ** -16

        def value(A, B):
            M = mp.inverse(B) * A
            if kind == "sum":
                M = M * M
                return sum(M[i, i] for i in range(n))
            values, vectors = mp.eig(M)
            v = vectors[:, min(range(n), key=lambda i: abs(values[i] - target))]
            return mp.re((v.H * mp.matrix(weights.tolist()) * v)[0] / (v.H * v)[0])

        def entry(which, i, j):
            pair = [[mp.matrix(x.tolist()) for x in (a, b)] for _ in range(2)]
            pair[0][which][i, j] += step
            pair[1][which][i, j] -= step
            return float((value(*pair[0]) - value(*pair[1])) / (2 * step))

        return np.array([[[entry(which, i, j) for j in range(n)] for i in range(n)] for which in range(2)])


def nearest_eigenvalue(a, b):
    """To 0.5, of 50 digits: of two that are near each other all must take the same."""
    with mp.workdps(50):
        values, _ = mp.eig(mp.inverse(mp.matrix(b.tolist())) * mp.matrix(a.tolist()))
        return complex(min(values, key=lambda x: abs(x - 0.5)))


def errors(separations):
    """Rows of kind, separation, and the largest relative error of each way over some pencils."""
    found = []
    print(f"{'of':7} {'separation':>10}" + "".join(f" {way:>22}" for way in WAYS))
    for kind, f in (("sum", of_sum), ("vector", of_vector)):
        for separation in separations:
            rng, worst = np.random.default_rng(0), dict.fromkeys(WAYS, 0.0)
            for _ in range(DRAWS):
                a, b = nearby.pencil("defective", separation, N, "float64", rng)
                weights = rng.standard_normal((N, N))
                target = nearest_eigenvalue(a, b)
                reference = expected(kind, a, b, target, weights)
                for way, gradient in WAYS.items():
                    error = np.linalg.norm(np.stack(gradient(f, a, b, target, weights)) - reference) / np.linalg.norm(reference)
                    worst[way] = max(worst[way], float(error))
            found.append({"kind": kind, "separation": separation, "errors": worst})
            print(f"{kind:7} {separation:10.0e}" + "".join(f" {error:22.1e}" for error in worst.values()), flush=True)
    return found


def draw(rows, file):
    try:
        import matplotlib
    except ImportError:
        print("no figure: matplotlib is not installed (pip install matplotlib)")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
    for panel, (kind, title) in zip(axes, FUNCTIONS.items()):
        here = [row for row in rows if row["kind"] == kind]
        for way, (colour, marker) in STYLES.items():
            if way in here[0]["errors"]:
                panel.loglog([row["separation"] for row in here], [row["errors"][way] for row in here], "-", color=colour, marker=marker,
                             markersize=4.5, linewidth=1.4, label=way)  # fmt: skip
        panel.invert_xaxis()
        panel.set(xlabel="distance of two eigenvalues")
        panel.set_title(title, fontsize=11)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set(ylabel="relative error of the gradient")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(file, dpi=90)
    print(f"drawn: {file}")
