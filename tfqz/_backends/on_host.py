"""Functions of NumPy arrays for batches, one element after the other. They raise ValueError."""

import numpy as np

from tfqz._form import checks


def broadcast_pencil(a, b):
    """The common batch shape, and both with it."""
    checks.shapes(a.shape, b.shape)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return batch, *(np.broadcast_to(x, batch + x.shape[-2:]) for x in (a, b))


def each(work, inputs, results, fill_failures):
    """`results`, arrays with the batch dimensions of the inputs, filled with what `work` returns for each element of these, the first of
    which are matrices, and for the text that says which element it is; NaN, and -1 in integers, for those that fail."""
    if all(x.size == 0 for x in results):
        return results
    for index in np.ndindex(inputs[0].shape[:-2]):
        try:
            found = work(*(x[index] for x in inputs), where=checks.batch_element(index))
        except ValueError:
            if not fill_failures:
                raise
            found = [-1 if x.dtype.kind == "i" else np.nan for x in results]
        for result, x in zip(results, found):
            result[index] = x
    return results


def check_finite(name, x, where):
    """Raises the error about NaN or Inf in the argument `name` of a batch element."""
    if not np.isfinite(x).all():
        raise ValueError(checks.FINITE.format(name=name, where=where))
