"""Keras layers around `tfqz.qz` and `tfqz.lqr`. They have no weights, and take part in functional, sequential and subclassed models.

    s, t, q, z = tfqz.keras.QZ()([a, b])
    eigenvalues = tfqz.keras.GeneralizedEigenvalues()([a, b])
    gain, solution, poles = tfqz.keras.LQR()([a, b, q, r])

Inputs keep their precision, whatever the layer's dtype policy says: a float64 pencil is decomposed in float64. Half precision,
float16 or bfloat16, as the layers of a mixed-precision model give it, is cast to float32, and the outputs stay float32. Integers are
cast as in `tfqz.qz`.
"""

from typing import Any

import keras
import tensorflow as tf

from tfqz import _backends
from tfqz._api import balance as balancing
from tfqz._api import compression, riccati
from tfqz._api.eigvals import alpha_and_beta as _alpha_and_beta
from tfqz._api.eigvals import eigvals as _eigvals
from tfqz._api.qz import QZ as _Factors
from tfqz._api.qz import qz as _qz
from tfqz._api.riccati import LQR as _Regulator
from tfqz._api.riccati import lqr as _lqr
from tfqz._form import checks
from tfqz._form.types import Backend, OnFailure, Output


class _Layer(keras.layers.Layer):
    """What all layers share: options, and the precision of inputs."""

    def __init__(self, backend, on_failure, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.backend = backend
        self.on_failure = checks.choice("on_failure", on_failure, checks.ON_FAILURE)
        # XLA can't call back into Python; `fit` looks at this when it decides about XLA by itself.
        self.supports_jit = _backends.choose(backend) is not _backends.scipy
        self.built = True

    def get_config(self):
        return super().get_config() | {"backend": self.backend, "on_failure": self.on_failure}

    @staticmethod
    def dtypes(inputs, held=checks.HELD):
        """The dtypes in which inputs are computed."""
        return checks.computed_in([keras.backend.standardize_dtype(x.dtype) for x in inputs], held)


class _PencilLayer(_Layer):
    """Layers whose inputs are two tensors."""

    def __init__(self, backend=None, on_failure="raise", rank=None, rank_of_b=None, balance=False, **kwargs):
        super().__init__(backend, on_failure, **kwargs)
        self.ranks = compression.check_ranks(rank, rank_of_b)
        self.balance = bool(balance)

    def get_config(self):
        return super().get_config() | self.ranks | {"balance": self.balance}

    def call(self, inputs):
        return self.decompose(*_pair(inputs))

    def compute_output_spec(self, inputs):
        a, b = _pair(inputs)
        dtypes = self.dtypes((a, b))
        checks.dtypes(*dtypes)
        checks.shapes(a.shape, b.shape)
        a_shape, b_shape = tf.TensorShape(a.shape), tf.TensorShape(b.shape)
        m, n = checks.sizes(a_shape, b_shape)
        compression.check_ranks(**self.ranks, sizes=(m, n))
        if self.balance:
            balancing.check_square(a_shape, b_shape, **self.ranks)
        return self.spec(tuple(checks.batch_shape(a_shape, b_shape)), m, n, dtypes[0])


@keras.saving.register_keras_serializable(package="tfqz")
class QZ(_PencilLayer):
    """`tfqz.qz` as a layer: the factors of a = q s z^H, b = q t z^H.

    Args:
      output: "real" or "complex", the form of s for real input.
      rank, rank_of_b, balance, backend, on_failure: as in `tfqz.qz`.
      **kwargs: those of `keras.layers.Layer`.

    Call arguments:
      inputs: `[a, b]`, each [..., m, n], both float32, float64, complex64 or complex128, or half precision, which becomes
        float32; the batch shapes broadcast.

    Returns:
      `QZ(s, t, q, z)`, a namedtuple: s, t [..., m, n], q [..., m, m], z [..., n, n]; with `rank=k` s, t [..., k, k], q [..., m, k] and
      z [..., n, k].

    Raises:
      ValueError, TypeError: at construction for an unknown option; at call for inputs that are no pair, or that `tfqz.qz` refuses.
      tf.errors.InvalidArgumentError: as `tfqz.qz`, when the model runs.
    """

    def __init__(
        self,
        output: Output = "real",
        backend: Backend | None = None,
        on_failure: OnFailure = "raise",
        *,
        rank: int | None = None,
        rank_of_b: int | None = None,
        balance: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(backend, on_failure, rank, rank_of_b, balance, **kwargs)
        self.output_form = checks.choice("output", output, checks.OUTPUTS)

    def get_config(self):
        return super().get_config() | {"output": self.output_form}

    def decompose(self, a, b):
        return _qz(a, b, self.output_form, balance=self.balance, backend=self.backend, on_failure=self.on_failure, **self.ranks)

    def spec(self, batch, m, n, dtype):
        if checks.OUTPUTS[self.output_form] == "complex":
            dtype = checks.complex_dtype(dtype).name
        rank = self.ranks["rank"]
        shapes = [(m, n)] * 2 + [(m, m), (n, n)] if rank is None else [(rank, rank)] * 2 + [(m, rank), (n, rank)]
        return _Factors(*(keras.KerasTensor((*batch, *shape), dtype) for shape in shapes))


@keras.saving.register_keras_serializable(package="tfqz")
class GeneralizedEigenvalues(_PencilLayer):
    """The generalized eigenvalues of pencils, in the order in which QZ finds them.

    Args:
      homogeneous: whether alpha and beta are returned, of which alpha / beta are the eigenvalues, instead of these.
      rank, rank_of_b, balance, backend, on_failure: as in `tfqz.eigvals`.
      **kwargs: those of `keras.layers.Layer`.

    Call arguments:
      inputs: `[a, b]`, as for the layer `QZ`.

    Returns:
      [..., p], p being `rank` or the smaller one of m and n, complex64 or complex128; infinite eigenvalues are inf + 0i, with gradient 0,
      and 0/0 is NaN. If `homogeneous`, `(alpha, beta)`: alpha [..., p], complex, and beta [..., p], of the inputs' dtype, with real values
      >= 0; both have gradients at infinite eigenvalues too.

    Raises:
      As the layer `QZ`.
    """

    def __init__(
        self,
        homogeneous: bool = False,
        backend: Backend | None = None,
        on_failure: OnFailure = "raise",
        *,
        rank: int | None = None,
        rank_of_b: int | None = None,
        balance: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(backend, on_failure, rank, rank_of_b, balance, **kwargs)
        self.homogeneous = bool(homogeneous)

    def get_config(self):
        return super().get_config() | {"homogeneous": self.homogeneous}

    def decompose(self, a, b):
        if not self.homogeneous:
            return _eigvals(a, b, balance=self.balance, backend=self.backend, on_failure=self.on_failure, **self.ranks)
        return _alpha_and_beta(a, b, self.backend, self.on_failure, balance=self.balance, **self.ranks)

    def spec(self, batch, m, n, dtype):
        known = self.ranks["rank"] or (None if m is None or n is None else min(m, n))
        shape = (*batch, known)
        eigenvalues = keras.KerasTensor(shape, checks.complex_dtype(dtype).name)
        return (eigenvalues, keras.KerasTensor(shape, dtype)) if self.homogeneous else eigenvalues


@keras.saving.register_keras_serializable(package="tfqz")
class LQR(_Layer):
    """Linear-quadratic regulators of plants, `tfqz.lqr` as a layer: control inside a model that is trained.

    Args:
      discrete: whether the plants are in discrete time.
      backend, on_failure: as in `tfqz.lqr`.
      **kwargs: those of `keras.layers.Layer`.

    Call arguments:
      inputs: `[a, b, q, r]` or `[a, b, q, r, s]`, [..., n, n], [..., n, m], [..., n, n], [..., m, m] and [..., n, m], of one dtype as for
        the layer `QZ`; the batch shapes broadcast.

    Returns:
      `LQR(gain, solution, poles)`, a namedtuple: [..., m, n], [..., n, n] and [..., n], the latter complex.

    Raises:
      ValueError, TypeError: at construction for an unknown option; at call for other inputs, or what `tfqz.lqr` refuses.
      tf.errors.InvalidArgumentError: as `tfqz.lqr`, when the model runs.
    """

    def __init__(self, discrete: bool = False, backend: Backend | None = None, on_failure: OnFailure = "raise", **kwargs: Any) -> None:
        super().__init__(backend, on_failure, **kwargs)
        self.discrete = bool(discrete)

    def get_config(self):
        return super().get_config() | {"discrete": self.discrete}

    def call(self, inputs):
        return _lqr(*_plant(inputs), discrete=self.discrete, backend=self.backend, on_failure=self.on_failure)

    def compute_output_spec(self, inputs):
        given = dict(zip("abqrs", _plant(inputs)))
        dtypes = self.dtypes(given.values(), checks.HELD_BY_SOLVERS)
        batch, known = checks.system_shapes(given, dict(zip(given, dtypes)), riccati.SIZES)
        n, m = known.get("n"), known.get("m")
        dtype = dtypes[0]
        specs = ((m, n), dtype), ((n, n), dtype), ((n,), checks.complex_dtype(dtype).name)
        return _Regulator(*(keras.KerasTensor((*batch, *shape), dtype) for shape, dtype in specs))


def _plant(inputs):
    """The inputs of an `LQR`; ValueError for anything else."""
    if isinstance(inputs, (list, tuple)) and len(inputs) in (4, 5):
        return inputs
    raise ValueError(f"`inputs` must be a list of four or five tensors, [a, b, q, r] or [a, b, q, r, s]; got {_what(inputs)}")


def _pair(inputs):
    """The two inputs of a layer; ValueError for anything else."""
    if isinstance(inputs, (list, tuple)) and len(inputs) == 2:
        return inputs
    raise ValueError(f"`inputs` must be a list of two tensors, [a, b]; got {_what(inputs)}")


def _what(inputs):
    return f"{len(inputs)} of them" if isinstance(inputs, (list, tuple)) else f"a {type(inputs).__name__}"
