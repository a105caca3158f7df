"""The figure of docs/performance.md, from the JSON of a run: time against n for one pencil, and time per pencil against batch; the least
of all turns."""

import measures
import ways

# Colours that differ in lightness too.
STYLES = {
    ways.EAGER: ("tfqz", "#1f4e9c", "o"),
    ways.SCIPY: ("SciPy", "#c53030", "s"),
    ways.LAPACK: ("LAPACK in C", "#222222", "x"),
    ways.TORCH: ("torch, eig of solve", "#dd7a1c", "^"),
    ways.TF_EIG: ("TensorFlow, eig of solve", "#3c9d5d", "v"),
}


def draw(results, file):
    """True if it was drawn."""
    try:
        import matplotlib
    except ImportError:
        print("no figure: matplotlib is not installed (pip install matplotlib)")
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    dtype = results["times"][0]["dtype"]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4.8), layout="constrained")
    panels = (
        (left, "n", lambda x: x["batch"] == 1, 1e3, "time of one pencil (ms)", "One pencil"),
        (right, "batch", lambda x: x["n"] == measures.CURVE_N, 1e6, "time per pencil (µs)", f"Batches, n = {measures.CURVE_N}"),
    )
    for axes, against, wanted, scale, label, title in panels:
        for way, (name, colour, marker) in STYLES.items():
            for measure, line, fill in (("forward", "-", colour), ("step", "--", "white")):
                rows = [x for x in results["times"] if (x["way"], x["measure"], x["dtype"]) == (way, measure, dtype) and wanted(x)]
                rows.sort(key=lambda x: x[against])
                if len(rows) < 2:
                    continue
                y = [x["min"] * scale / (x["batch"] if against == "batch" else 1) for x in rows]
                axes.loglog(
                    [x[against] for x in rows], y, line, color=colour, marker=marker, markersize=4.5, linewidth=1.4,
                    markerfacecolor=fill, label=name + (", with gradient" if measure == "step" else ""),
                )  # fmt: skip
        ticks = [4, 8, 16, 32, 64, 128, 256, 512, 1000] if against == "n" else measures.CURVE_BATCHES
        limits = axes.get_xlim()
        axes.set_xticks([x for x in ticks if limits[0] <= x <= limits[1]], [str(x) for x in ticks if limits[0] <= x <= limits[1]])
        axes.minorticks_off()
        axes.set(xlabel=against, ylabel=label)
        axes.set_title(f"{title} ({dtype})", fontsize=11)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(file, dpi=90)
    print(f"drawn: {file}")
    return True
