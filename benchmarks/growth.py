"""How the cost of every estimator grows: exponents in rows, features, environments, queries and workers.

``python growth.py run LOG [WORD ...]``: measure the cases whose name or axis holds a word, a line of the log each; what
the log holds is not measured again. ``python growth.py table LOG``: the record.

CPU seconds of this process and of its workers, the least of two runs at each size; the exponent is the slope of log
seconds on log size over three sizes that double. In workers the cost is all the CPU that the same work takes, so that 0
is expected: what is more is what handing out costs. From the slope, and the memory that the call takes at its peak at
the smallest size, how far ten minutes of one core and 24 GB would reach.
"""

import resource
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from _growth_cases import CASES
from _record import record

MINUTES, GIGABYTES = 10, 24
SLACK = 0.2  # an exponent above expectation plus this is printed as off
NAMES = ["estimator", "in", "smallest", "largest", "CPU s there", "exponent", "expected", "bytes a unit", "least CPU s"]


def cpu():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure(task, sizes):
    """CPU seconds at each size, least of two, and peak bytes per unit of size at the smallest."""
    spent = []
    for size in sizes:
        work = task(size)
        times = []
        for _ in range(2):
            began = cpu()
            work()
            times.append(cpu() - began)
        spent.append(min(times))
    work = task(sizes[0])
    tracemalloc.start()
    work()
    memory = tracemalloc.get_traced_memory()[1] / sizes[0]
    tracemalloc.stop()
    return spent, memory


def run(log, words):
    warnings.simplefilter("ignore")
    held = Path(log)
    known = set(held.read_text().splitlines()) if held.exists() else set()
    known = {tuple(line.split("\t")[:2]) for line in known}
    for name, axis, sizes, task, expected in CASES:
        if (name, axis) in known or (words and not any(word in name or word == axis for word in words)):
            continue
        spent, memory = measure(task, sizes)
        slope = np.polyfit(np.log(sizes), np.log(np.maximum(spent, 1e-6)), 1)[0]
        line = [name, axis, sizes[0], sizes[-1], spent[-1], slope, expected, memory, spent[0]]
        print(*line, flush=True)
        with held.open("a") as file:
            print(*line, sep="\t", file=file)


def reach(row):
    """How far ten minutes of one core go, or memory if it ends before; features and workers meet other walls."""
    if row["in"] in ("features", "workers"):
        return ""
    by_time = row["largest"] * (60 * MINUTES / max(row["CPU s there"], 1e-6)) ** (1 / max(row["exponent"], 0.5))
    by_memory = GIGABYTES * 1e9 / max(row["bytes a unit"], 1.0)
    return f"{min(by_time, by_memory):.0e}, {'time' if by_time <= by_memory else 'memory'}"


def table(log):
    found = pd.read_csv(log, sep="\t", names=NAMES)
    found["above"] = found["exponent"] - found["expected"]
    found["ten minutes, ended by"] = found.apply(reach, axis=1)
    # Below some hundredths of a second fixed costs and the clock rule, and a slope is no growth.
    found[""] = np.where(found["above"] > SLACK, np.where(found["CPU s there"] < 0.05, "short", "OFF"), "")
    found = found.sort_values("above", ascending=False).reset_index(drop=True)
    shown = ["estimator", "in", "largest", "CPU s there", "exponent", "expected", "", "bytes a unit"]
    shown = found[[*shown, "ten minutes, ended by"]]
    off = found.loc[found[""] == "OFF", ["estimator", "in", "exponent", "expected"]]
    record(
        "growth",
        {
            "Exponents that are off": off if len(off) else "None.",
            "All exponents, those furthest above expectation first": shown,
        },
        keep=True,
    )


if __name__ == "__main__":
    if sys.argv[1] == "table":
        table(sys.argv[2])
    else:
        run(sys.argv[2], sys.argv[3:])
