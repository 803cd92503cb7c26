"""CPU seconds and memory of a fit as rows grow; one process per size, so that memory is its own.

python benchmarks/extrapolation_cost.py
"""

import resource
import subprocess
import sys
import time
import warnings

import numpy as np

from causalinv.datasets import make_extrapolation_data
from causalinv.extrapolation import Rep4ExRegressor

SIZES = (1_000, 10_000, 100_000)


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def one(n):
    warnings.simplefilter("ignore")
    data = make_extrapolation_data(n, random_state=0)
    before, start = megabytes(), time.process_time()
    Rep4ExRegressor(random_state=0).fit(data.X, data.y, action=data.action)
    print(time.process_time() - start, before, megabytes())


def main():
    print("| rows | CPU s of the fit | exponent since the size before | peak MB | of it before the fit |")
    print("|---|---|---|---|---|")
    last = None
    for n in SIZES:
        out = subprocess.run([sys.executable, __file__, str(n)], capture_output=True, text=True, check=True).stdout
        seconds, before, peak = map(float, out.split())
        exponent = "" if last is None else f"{np.log10(seconds / last):.2f}"
        print(f"| {n} | {seconds:.1f} | {exponent} | {peak:.0f} | {before:.0f} |", flush=True)
        last = seconds


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one(int(sys.argv[1]))
    else:
        main()
