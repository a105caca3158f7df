"""A fuzzer of values: random pencils with structure through all functions, and what has to be true of the results, whatever the pencil.

`make fuzz SECONDS=60` runs it; docs/reliability.md says what it covers. A case is a function of its seed (configurations.py): a batch of
pencils (pencils.py, families.py) and a call with its options. measure.py takes it through backends and widths of vectors, calls.py,
gradients.py, solvers.py and control.py say what is asked of each function, properties.py has the bounds. What fails is made smaller
(shrink.py) and printed as a test (report.py).
"""

from fuzz_values.measure import Configuration, failures

__all__ = ["Configuration", "failures"]
