"""What the public functions accept, and what they say otherwise.

Shapes that are known only when a graph runs are checked by the backends, with the same words.
"""

import numpy as np
import tensorflow as tf

DTYPES = ("float32", "float64", "complex64", "complex128")
_TYPES = frozenset(map(tf.as_dtype, DTYPES))
# What SciPy's QZ computes others in, which hold them. Its Schur form and its solvers take all integers to double precision. (bfloat16,
# which it doesn't know, is here what float16 is.)
_SMALL = ("int8", "uint8", "int16", "uint16")
HELD = dict.fromkeys(("bool", *_SMALL, "float16", "bfloat16"), "float32")
HELD |= dict.fromkeys(("int32", "uint32", "int64", "uint64"), "float64")
HELD_BY_SOLVERS = HELD | dict.fromkeys(_SMALL, "float64")
OUTPUTS = {"real": "real", "r": "real", "complex": "complex", "c": "complex"}  # as in SciPy
ON_FAILURE = ("raise", "nan")

FINITE = "`{name}` must be finite; got NaN or Inf{where}"
CONVERGENCE = "`a`, `b` must be a pencil on which QZ converges; {why}{where}"
QR_CONVERGENCE = "`a` must be a matrix on which QR iterations converge; {why}{where}"
SVD_CONVERGENCE = "`b` must be a matrix whose singular value decomposition converges; {why}{where}"
ZEROS_CONVERGENCE = "`a`, `b`, `c`, `d` must be a system on whose reduced pencil QZ converges; {why}{where}"
ORDER = "`a`, `b` must be a pencil whose eigenvalues can be put in the order of `sort`, and this one is too ill-conditioned; {why}{where}"


def pencil(a, b, names=("a", "b")):
    """`a` and `b` as tensors of one supported dtype whose static shapes fit; errors call them by `names`.

    Raises:
      TypeError: as of `tensor`, or dtypes differ or are none of the four and none that one of these holds.
      ValueError: the static shapes show that the two are not matrices of one size, or that the batches don't broadcast.
    """
    a, b = tensors(dict(zip(names, (a, b)))).values()
    dtypes(a.dtype, b.dtype, names)
    shapes(a.shape, b.shape, names)
    return a, b


def matrix(a):
    """`a` as a tensor of a supported dtype whose static shape fits.

    Raises:
      TypeError: as of `tensor`, or the dtype is none of the four and none that one of these holds.
      ValueError: the static shape shows that it isn't square.
    """
    (a,) = tensors({"a": a}, HELD_BY_SOLVERS).values()
    if a.dtype.name not in DTYPES:
        raise TypeError(f"`a` must have one of the dtypes {', '.join(DTYPES)}; got {a.dtype.name}")
    square("a", a.shape, text(a.shape))
    return a


def system(matrices, sizes):
    """Matrices that belong together, as tensors of one supported dtype and one batch shape.

    Args:
      matrices: a dict of names and arguments, in their order; None stays None.
      sizes: a dict of names and pairs of letters: equal letters are equal sizes, and "n" is said to be what it is in errors.

    Raises:
      TypeError: as of `tensor`, or the dtypes differ or are none of the four and none that one of these holds.
      ValueError: the static shapes don't fit.
    """
    given = tensors({name: x for name, x in matrices.items() if x is not None}, HELD_BY_SOLVERS)
    system_shapes(given, {name: x.dtype for name, x in given.items()}, sizes)
    return {name: given.get(name) for name in matrices}


def system_shapes(tensors, types, sizes):
    """Checks what is known of matrices that belong together, all that have a shape, by dicts of names, and their dtypes; returns the batch
    shape and the known ones of `sizes`, a dict. Raises TypeError or ValueError."""
    first, *others = tensors
    for name in others or [first]:
        dtypes(types[first], types[name], (first, name))
    shapes = {name: tf.TensorShape(x.shape) for name, x in tensors.items()}
    known, batch = {}, tf.TensorShape([])
    for name, shape in shapes.items():
        wanted = f"[..., {', '.join(sizes[name])}]"
        if shape.rank is not None and shape.rank < 2:
            raise ValueError(f"`{name}` must be a matrix or a batch of them, {wanted}; got {text(shape)}")
        for letter, size in zip(sizes[name], inner(shape)):
            whose, expected = known.setdefault(letter, (name, size)) if size is not None else (name, None)
            if size != expected:
                got = f"{text(shape)}, and `{whose}` {text(shapes[whose])}" if whose != name else text(shape)
                raise ValueError(f"`{name}` must be {wanted}, {letter} being {expected}; got {got}")
        try:
            batch = tf.TensorShape(None) if shape.rank is None else tf.broadcast_static_shape(batch, shape[:-2])
        except ValueError:
            listed = " and ".join(f"`{k}` {text(other)}" for k, other in shapes.items())
            raise ValueError(f"`{name}` must have a batch shape that broadcasts with the others; got {listed}") from None
    return batch, {letter: size for letter, (_, size) in known.items()}


def tensors(arguments, held=HELD):
    """Arguments, a dict by names, as tensors of the dtypes that `computed_in` says; lists take the dtype of the others."""
    if all(isinstance(x, tf.Tensor) and x.dtype in _TYPES for x in arguments.values()):  # what follows takes as long as a small pencil
        return {name: tf.convert_to_tensor(x) for name, x in arguments.items()}
    arguments = {name: _in_numpy(x, name) if isinstance(x, np.ndarray | np.generic) else x for name, x in arguments.items()}
    hint = next(iter(computed_in([t for x in arguments.values() if (t := _stated(x))], held)), None)
    found = {name: tensor(x, name, None if hasattr(x, "dtype") else hint) for name, x in arguments.items()}
    types = computed_in([x.dtype.name for x in found.values()], held)
    return {name: _cast(x, dtype) for (name, x), dtype in zip(found.items(), types)}


def _stated(x):
    """The name of an argument's dtype, if it has one that TensorFlow knows."""
    try:
        return tf.as_dtype(x.dtype).name
    except (AttributeError, TypeError):
        return None


def computed_in(types, held=HELD):
    """The dtypes, names, in which arguments of the dtypes `types` are computed: their own, if it is one of the four. Others, if `held` has
    them, get the one that holds all of a call, where those of the four agree."""
    own = [t for t in types if t in DTYPES]
    if len(own) == len(types):
        return types
    common = own[0] if own else "float32"
    if len(set(own)) <= 1 and "float64" in [held.get(t) for t in types]:
        common = {"float32": "float64", "complex64": "complex128"}.get(common, common)
    return [common if t in held or (len(set(own)) == 1 and t in own) else t for t in types]


def tensor(x, name, dtype_hint=None):
    """`x` as a tensor.

    Raises:
      TypeError: what isn't dense; a KerasTensor, which stands for values that a model will have.
    """
    if type(x).__name__ == "KerasTensor":  # not by its type: TensorFlow may not have imported Keras
        layers = "in a Keras model take a layer, `tfqz.keras.QZ` or `tfqz.keras.GeneralizedEigenvalues`, or call this in a layer of yours"
        raise TypeError(f"`{name}` must have values; got a KerasTensor, which has none yet: {layers}")
    if isinstance(x, tf.RaggedTensor | tf.SparseTensor) or type(x).__module__.startswith("scipy.sparse"):
        kind = type(x).__name__
        dense = {
            "RaggedTensor": "`.to_tensor()` makes one of it, or of each of its matrices where their sizes differ",
            "SparseTensor": "`tf.sparse.to_dense` makes one of it",
        }
        raise TypeError(f"`{name}` must be a dense tensor; got a {kind}: {dense.get(kind, '`.toarray()` makes a dense array of it')}")
    return tf.convert_to_tensor(x, name=name, dtype_hint=dtype_hint)


def _in_numpy(x, name):
    """An array of NumPy in a dtype that TensorFlow has: of more than double precision, or of objects, in what SciPy computes it in."""
    if x.dtype.char not in "gGO":
        return x
    try:
        return x.astype(np.complex128 if x.dtype.char == "G" else np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"`{name}` must have one of the dtypes {', '.join(DTYPES)}; got objects that are no real numbers") from None


def _cast(x, dtype):
    """`x` in a dtype that holds it."""
    dtype = tf.as_dtype(dtype)
    if x.dtype == dtype:
        return x
    if x.dtype.is_complex or not dtype.is_complex:
        return tf.cast(x, dtype)
    real = tf.cast(x, dtype.real_dtype)
    return tf.complex(real, tf.zeros_like(real))  # tf.cast warns of the imaginary part that its gradient drops


def dtypes(a, b, names=("a", "b")):
    """Checks two dtypes; raises TypeError."""
    a, b = tf.as_dtype(a).name, tf.as_dtype(b).name
    if a != b or a not in DTYPES:
        rule = f"`{names[0]}` and `{names[1]}` must have the same dtype, one of {', '.join(DTYPES)}"
        raise TypeError(f"{rule}; got {a} and {b}")


def shapes(a, b, names=("a", "b")):
    """Checks what is known of two shapes; raises ValueError."""
    a, b = tf.TensorShape(a), tf.TensorShape(b)
    if a.is_fully_defined() and b.is_fully_defined():
        # Most calls end here: the arithmetic of TensorShape takes longer than a small pencil's decomposition.
        sizes = a.as_list()
        if sizes == b.as_list() and len(sizes) >= 2:
            return
    got = f"{text(a)} and {text(b)}"
    for name, shape in zip(names, (a, b)):
        if shape.rank is not None and shape.rank < 2:
            raise ValueError(f"`{name}` must be a matrix or a batch of them, [..., m, n]; got {got}")
    if a.rank is None or b.rank is None:
        return
    if not a[-2:].is_compatible_with(b[-2:]):
        raise ValueError(f"`{names[1]}` must have the same inner shape as `{names[0]}`; got {got}")
    try:
        tf.broadcast_static_shape(a[:-2], b[:-2])
    except ValueError:
        raise ValueError(f"`{names[0]}` and `{names[1]}` must have batch shapes that broadcast; got {got}") from None


def square(name, shape, got):
    """Checks what is known of a shape; raises ValueError."""
    if shape.rank is not None and (shape.rank < 2 or not shape[-2:-1].is_compatible_with(shape[-1:])):
        raise ValueError(f"`{name}` must be square, [..., n, n]; got {got}")


def factor_shape(a, b):
    """What is known of the shape of a factor, from checked static shapes of square `a` and `b`."""
    n = tf.TensorShape([size for size in sizes(a, b) if size is not None][:1] or [None])
    return batch_shape(a, b).concatenate(n).concatenate(n)


def batch_shape(a, b):
    """What is known of the common batch shape, from checked static shapes of `a` and `b`."""
    return tf.TensorShape(None) if a.rank is None or b.rank is None else tf.broadcast_static_shape(a[:-2], b[:-2])


def sizes(a, b):
    """m and n, ints or None, as far as checked static shapes of `a` and `b` tell."""
    if a.is_fully_defined():
        return a.as_list()[-2:]  # of small pencils the arithmetic of TensorShape would take a tenth of the whole call
    known = [tf.TensorShape(inner(shape)) for shape in (a, b)]
    return known[0].merge_with(known[1]).as_list()


def inner(shape):
    """m and n of a static shape, ints or None: not what TensorFlow's old behaviour has in their place, `tf.compat.v1.Dimension`, which is
    neither."""
    return [None, None] if shape.rank is None else shape.as_list()[-2:]


def complex_dtype(dtype):
    """The complex dtype of the same precision, for a supported dtype."""
    return tf.complex64 if tf.as_dtype(dtype) in (tf.float32, tf.complex64) else tf.complex128


def choice(name, value, allowed):
    """`value`, or a ValueError that lists the allowed ones."""
    if value in allowed:
        return value
    listed = ", ".join(repr(option) for option in allowed)
    raise ValueError(f"`{name}` must be one of {listed}; got {value!r}")


def batch_element(index):
    """' in batch element [2, 0]', and nothing for a single pencil."""
    return f" in batch element [{', '.join(str(i) for i in index)}]" if index else ""


def text(shape):
    """A static shape as error messages have it."""
    return "(unknown rank)" if shape.rank is None else str(tuple(shape.as_list()))
