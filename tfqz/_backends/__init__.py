"""The backends: modules with the same functions, of which the best that loads is taken.

    why_not()                        None if the backend can be used, else the reason and the remedy
    versions()                       a dict of what it was built against and runs with
    factorize(a, b, on_failure)      [S, T, Q, Z, alpha, beta] of checked tensors, in canonical form
    reorder(factors, labels, on_failure)
                                     the same for [S, T, Q, Z] in canonical form, with eigenvalues in descending order of their
                                     labels, [..., n], int32, of which a 2 x 2 block has the same twice
    schur(a, on_failure)             [T, Z] of a checked tensor, the ordinary Schur form
    eigenvectors(S, T, Q, Z, left, right)
                                     those asked for of the left and the right eigenvectors, in a list, from canonical factors; NaN
                                     where these are
    zeros(P, N, n, on_failure)       [z, X, Y]: finite zeros of system pencils with n states, [..., n], then inf, and their null vectors,
                                     see `zeros_on_host.py`; not "graph"
    compress(a, b, rank, on_failure, left)
                                     [X, rank, A, B] of checked tensors: the frame, [..., n, p], that compresses an m x n pencil,
                                     m < n, to a square one, the rank of b, [...], int32, and a X, b X, [..., m, p]; or, `left`, the
                                     frame of the adjoint one, m > n, and X^H a, X^H b, [..., p, n]; see `frames.py`
    complement(x)                    [B, rows]: a basis of the complement of what x spans, and its chosen rows
    svd(b, on_failure)               [U, s, V]: the thin singular value decomposition
    balance(M, similarity)           [l, r]: exponents, [..., m] and [..., n], int32, for which all rows of diag(2^l) M diag(2^r) have about
                                     equal sums, and all columns; M: [..., m, n], real, entries >= 0, such as moduli. `similarity`, a
                                     Python bool: l = -r, m = n, and it is row and column j that have, for each j, without the diagonal.
                                     See `balancing.py`
    check(failing, got, text)        `failing`, [...], or an error with `text` about the first element where it is true, where a
                                     program can raise one

None of the results has a gradient: `_derivative/registration.py` attaches it.
"""

import os
import sys
import warnings
from pathlib import Path

from tfqz._backends import graph, native, scipy
from tfqz._form import checks

BACKENDS = {"native": native, "scipy": scipy, "graph": graph}  # the best first
VARIABLE = "TFQZ_BACKEND"


def choose(name=None):
    """The backend called `name`, or the default one.

    Raises:
      ValueError: no such backend.
      RuntimeError: it was asked for, by argument or by environment variable, and doesn't load.
    """
    if name is not None:
        return _required(checks.choice("backend", name, BACKENDS))
    name = os.environ.get(VARIABLE)
    if name:
        return _required(checks.choice(VARIABLE, name, BACKENDS))
    reason = native.why_not()
    if reason is None:
        return native
    _warn_once(reason)
    return scipy


def _required(name):
    """The backend of that name; RuntimeError with the reason if it doesn't load."""
    reason = BACKENDS[name].why_not()
    if reason is not None:
        raise RuntimeError(f"`backend` must be one that loads; got {name!r}: {reason}")
    return BACKENDS[name]


_warned = set()


def _warn_once(reason):
    """Warns of the fallback, once for each reason in a process."""
    if reason not in _warned:
        _warned.add(reason)
        frame = _frame_of_user()
        text, module = f"tfqz falls back to the slower backend 'scipy': {reason}", frame.f_globals.get("__name__")
        registry = frame.f_globals.setdefault("__warningregistry__", {})
        warnings.warn_explicit(text, RuntimeWarning, frame.f_code.co_filename, frame.f_lineno, module, registry)


def _frame_of_user():
    """The innermost frame that is not of this package, of TensorFlow or Keras, or of what AutoGraph writes; or the outermost one. (That
    `warnings.warn` finds it Python 3.10 has no way to say.)"""
    packages = (sys.modules[name] for name in ("tfqz", "tensorflow", "keras", "tf_keras") if name in sys.modules)
    folders = tuple(str(Path(package.__file__).parent) + os.sep for package in packages)
    frame = sys._getframe()
    while frame.f_back and (frame.f_code.co_filename.startswith(folders) or "__autograph_generated_file" in frame.f_code.co_filename):
        frame = frame.f_back
    return frame
