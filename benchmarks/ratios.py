"""The ratios that tfqz is held to: measured value against bound, in one table.

Backward / forward is measured twice: "difference" is (forward with gradient, less forward) / forward, which is what a training step pays;
"direct" is the gradient of a forward pass that was recorded off the clock, over forward. The worse of the two is held against the bound.
Under tf.function and XLA the difference is of one function that does both; the direct one is of the backward function by itself.
LAPACK's best call is chosen among four (`floor.py`); those within a quarter of the best take turns with tfqz, and the least counts.
"""

import statistics
from collections.abc import Callable
from typing import NamedTuple

import floor
import memory
import timing
import ways
from measures import row, table
from pencils import Pencils

TOO_LARGE = "left out: too large for these options"
SIZES = 16, 32, 64, 100, 128, 200, 256, 400, 512, 1000


class Ratio(NamedTuple):
    measure: str
    batch: int
    n: int
    dtype: str
    at_least: bool
    bound: float
    measured: Callable  # (pencils, budget) -> a number or {name: number}, of which the worst counts


def required(dtypes, simd):
    """Every ratio."""
    rows = []
    wide = "avx512" in simd.lower()
    for dtype in dtypes:
        for n, avx512, avx2 in ((4, 50, 30), (8, 18, 12), (16, 9, 6), (32, 4, 3)):
            rows.append(Ratio("SciPy / tfqz", 4096, n, dtype, True, avx512 if wide else avx2, scipy_over_tfqz))
    for n, bound in ((100, 1.05), (200, 1.4), (256, 4), (400, 1.7), (512, 9), (1000, 4)):
        rows.append(Ratio("SciPy / tfqz", 1, n, dtypes[0], True, bound, scipy_over_tfqz))
    for dtype in dtypes:
        for n in SIZES[2:]:
            rows.append(Ratio("tfqz / LAPACK in C", 1, n, dtype, False, 1.05, tfqz_over_lapack))
    for mode in ways.MODES[:2]:
        for dtype in dtypes:
            for batch, sizes in ((1, SIZES), (4096, (4, 8, 16, 32))):
                for n in sizes:
                    bound = 0.3 if n >= 200 else 0.5
                    rows.append(Ratio(f"backward / forward, {mode}", batch, n, dtype, False, bound, backward_over_forward(mode)))
    for dtype in dtypes:
        for n in (16, 32, 64, 128, 256, 512):
            rows.append(Ratio(f"backward / forward, {ways.XLA}", 1, n, dtype, False, 1, backward_over_forward(ways.XLA)))
    for batch, n, bound in ((1000, 8, 2), (1, 128, 0.7), (1, 512, 0.8)):
        rows.append(Ratio("forward + backward: torch eig / tfqz", batch, n, dtypes[0], True, bound, torch_over_tfqz))
    for dtype in dtypes:
        rows.append(Ratio("memory of a backward pass / n^2", 1, 1000, dtype, False, 40, memory_of_backward))
    return rows


def scipy_over_tfqz(pencils, budget):
    made = {ways.EAGER: ways.forward_of_mode(pencils, ways.EAGER), ways.SCIPY: ways.scipy_loop(pencils)}
    return timing.ratio(timing.in_turn(made, budget, timing.PAUSE), ways.SCIPY, ways.EAGER)


def tfqz_over_lapack(pencils, budget):
    if floor.why_not():
        return floor.why_not()
    contenders = floor.contenders(pencils)
    made = {ways.EAGER: ways.forward_of_mode(pencils, ways.EAGER)} | contenders
    samples = timing.in_turn(made, budget)
    return {name: timing.ratio(samples, ways.EAGER, name) for name in contenders}


def backward_over_forward(mode):
    def measured(pencils, budget):
        made = {
            "forward": ways.forward_of_mode(pencils, mode),
            "both": ways.step_of_mode(pencils, mode),
            "backward": ways.gradient(pencils)[mode],
        }
        samples = timing.in_turn(made, budget)
        turns = zip(samples["both"], samples["forward"])
        difference = statistics.median((both - forward) / forward for both, forward in turns)
        return {"difference": difference, "direct": timing.ratio(samples, "backward", "forward")}

    return measured


def torch_over_tfqz(pencils, budget):
    if not ways.torch:
        return "torch is not installed"
    made = {ways.EAGER: ways.step_of_mode(pencils, ways.EAGER), ways.TORCH: ways.torch_eig(pencils, gradients=True)}
    return timing.ratio(timing.in_turn(made, budget, timing.PAUSE), ways.TORCH, ways.EAGER)


def memory_of_backward(pencils, budget):
    found = {mode: memory.numbers(pencils.n, pencils.dtype, mode) for mode in ways.MODES[:2]}
    return next((reason for reason in found.values() if isinstance(reason, str)), found)


def ratios(settings):
    table("ratio", "dtype", "batch", "n", "measured", "bound", "")
    rows = []
    for ratio in required(settings.dtypes, settings.simd):
        measured, parts = None, {}
        if ratio.n > settings.largest_n or ratio.batch > settings.largest_batch:
            found = TOO_LARGE
        else:
            found = ratio.measured(Pencils(ratio.batch, ratio.n, ratio.dtype), settings.budget)
        if isinstance(found, dict):
            parts = found
            found = (min if ratio.at_least else max)(found.values())
        note = found if isinstance(found, str) else ", ".join(f"{name} {value:.3g}" for name, value in parts.items())
        holds = None
        if not isinstance(found, str):
            measured = found
            holds = measured >= ratio.bound if ratio.at_least else measured <= ratio.bound
        verdict = {None: "", True: "holds", False: "MISSED"}[holds]
        bound = f"{'>=' if ratio.at_least else '<='} {ratio.bound}"
        about = {key: value for key, value in ratio._asdict().items() if key != "measured"}
        rows.append(about | {"measured": measured, "parts": parts, "holds": holds, "note": note})
        if found == TOO_LARGE:
            continue
        shown = "" if measured is None else f"{measured:.3g}"
        row(ratio.measure, ratio.dtype, ratio.batch, ratio.n, shown, bound, "; ".join(filter(None, (verdict, note))))
    counted = [x["holds"] for x in rows]
    left_out = f"{counted.count(None)} were not measured (--full leaves out none for its size)"
    print(f"\n{counted.count(True)} hold, {counted.count(False)} are missed, {left_out}")
    return rows
