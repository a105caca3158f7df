"""Says how accurate tfqz is: `python benchmarks/accuracy.py [factors] [gradients] [equations] [order] [--quick]`

factors      the worst ratios |A - Q S Z^H| / (n eps |A|) and |I - Q^H Q| / (n eps), in the 1-norm, over the 26 types of pencils of
             LAPACK's program xDRGES (`tests/drges.py`), whose threshold is 30; for every dtype, backend and width of vectors
gradients    errors against derivatives of 50 digits, for eigenvalues that come nearer and nearer, over eps times what `tfqz.sensitivity`
             calls the amplification; and beside those of torch's and TensorFlow's eig (draws `docs/accuracy.png`)
equations    the backward error of the triangular equations that gradients solve
order        what becomes of exchanges that LAPACK's xTGEX2 refuses

Without names it prints all. TFQZ_SIMD is read when the library is loaded: each width is a process of its own. torch and matplotlib are
optional. `--quick` leaves out what is large or slow.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "tests"))

SECTIONS = "factors", "gradients", "equations", "order"
WIDTHS = "avx512", "avx2", "baseline", "none"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="table", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", metavar="FILE", help="where the results go")
    parser.add_argument("--figure", metavar="FILE", default=str(FOLDER.parent / "docs" / "accuracy.png"), help="'' for none")
    parser.add_argument("--child", nargs=2, metavar=("TABLE", "BACKEND"), help=argparse.SUPPRESS)
    settings = parser.parse_args()

    import accuracy_figure
    import accuracy_tables as tables
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # the gradient of a real matrix's eig drops an imaginary part of zero, and says so
    if unknown := set(settings.sections) - set(SECTIONS):
        parser.error(f"tables are {', '.join(SECTIONS)}; got {', '.join(sorted(unknown))}")
    if settings.child:
        print(json.dumps(getattr(tables, settings.child[0])(settings.child[1], settings.quick)))
        return
    results = {}
    for name in settings.sections or SECTIONS:
        results[name] = (factors if name == "factors" else getattr(tables, name))(settings.quick)
        if settings.json:
            Path(settings.json).write_text(json.dumps(results, indent=1) + "\n")
    if settings.figure and "gradients" in results:
        accuracy_figure.draw(results["gradients"]["beside others"], settings.figure)


def in_child(table, backend, quick, width):
    """What a table's function returns in a process with this width of vectors; None where the machine doesn't have it."""
    command = [sys.executable, __file__, "--child", table, backend, *["--quick"] * quick]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TFQZ_SIMD": width})
    if "on this machine; got" in done.stderr:
        return None
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def factors(quick):
    found = []
    print(f"{'backend':8} {'width':9} {'dtype':11} {'residual':>9} of type, n       {'unitarity':>9} of type, n       pencils  failed")
    for backend, width in [*(("native", width) for width in WIDTHS), ("scipy", ""), ("graph", "")]:
        for row in in_child("of_factors", backend, quick, width) or []:
            row |= {"backend": backend, "width": width}
            found.append(row)
            worst = "   ".join(f"{row[key][0]:9.3f} {row[key][1]:7}, {row[key][2]:4} " for key in ("residual", "unitarity"))
            print(f"{backend:8} {width:9} {row['dtype']:11} {worst}  {row['pencils']:7} {row['failed']:7}", flush=True)
    return found


if __name__ == "__main__":
    main()
