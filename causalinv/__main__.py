"""Command line: ``python -m causalinv`` runs the tour, ``… info`` prints versions, ``… pac`` a PAC experiment."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec

_CORE = ("numpy", "scipy", "pandas", "scikit-learn", "statsmodels", "cvxpy")
_EXTRAS = {
    "plot": "matplotlib",
    "graph": "networkx",
    "arrow": "pyarrow",
    "sql": "duckdb",
    "dask": "distributed",
    "torch": "torch",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 done, 1 failed, 2 wrong use or missing data)."""
    parser = argparse.ArgumentParser(
        prog="python -m causalinv", description="Causal effects under hidden confounding, by invariance."
    )
    parser.add_argument("command", nargs="?", choices=("tour", "info", "pac"), default="tour", help="default: tour")
    parser.add_argument("--data", metavar="FOLDER", help="folder with the real data sets (else CAUSALINV_DATA)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulated parts (default 0)")
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")
    pac = parser.add_argument_group("pac", "how often does a rule learnt under m interventions break under fresh ones?")
    pac.add_argument("--d", type=int, nargs="+", default=[10, 50], help="numbers of features (default 10 50)")
    pac.add_argument("--m", type=int, nargs="+", default=[30, 100], help="training interventions (default 30 100)")
    pac.add_argument("--sites", type=int, default=3, help="sites that interventions move (default 3)")
    pac.add_argument("--reps", type=int, default=20, help="replications of each cell (default 20)")
    pac.add_argument("--rows", type=int, help="rows per training environment (default: exact moments)")
    pac.add_argument("--jobs", type=int, help="worker processes")
    pac.add_argument("--shard", type=int, nargs=2, default=[0, 1], metavar=("I", "K"), help="every K-th, from the I-th")
    pac.add_argument("--out", metavar="FOLDER", help="keep the rows there as CSV; what is there is not run again")
    args = parser.parse_args(argv)
    if args.seed < 0:
        parser.error(f"--seed must be >= 0, got {args.seed}")
    try:
        return _run(args)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - nothing more may be flushed to the closed pipe
        return 0


def _run(args: argparse.Namespace) -> int:
    if args.command == "info":
        _show(_info(), as_json=args.json)
        return 0
    if args.command == "pac":
        return _pac(args)

    from causalinv import tour

    try:
        done = tour.run(random_state=args.seed, data=args.data)
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the command line talks to a person
        return 2
    if args.json:
        _show({"chapters": [chapter.to_dict() for chapter in done], "seed": args.seed}, as_json=True)
    else:
        for number, chapter in enumerate(done, start=1):
            print(f"Chapter {number}. {chapter}\n")  # noqa: T201
    return 0


def _pac(args: argparse.Namespace) -> int:
    from causalinv.invariance import InvariantSubsetSelector, PACExperiment
    from causalinv.sem import InterventionFamily, choose_sites, random_sem

    try:
        experiment = PACExperiment(
            lambda d, rng: random_sem(d + 1, expected_degree=3.0, random_state=rng),
            lambda sem, rng: InterventionFamily(choose_sites(sem, args.sites, random_state=rng), per_env="single"),
            {"subset of at most 2": InvariantSubsetSelector(eps=0.05, max_size=2, search="exhaustive")},
            d=args.d,
            m=args.m,
            n_reps=args.reps,
            n_per_env=args.rows,
            random_state=args.seed,
        )
        table = experiment.run(args.jobs, shard=tuple(args.shard), out=args.out)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    summary = experiment.summary(table)
    if args.json:
        print(json.dumps(json.loads(summary.reset_index().to_json(orient="records")), indent=2))  # noqa: T201
    else:
        print("Share of fresh interventions whose gap exceeds the training gap, and the bound that certifies it:\n")  # noqa: T201
        print(summary.to_string(float_format=lambda v: f"{v:.3f}"))  # noqa: T201
    return int((table["error"] != "").any())


def _info() -> dict[str, str]:
    versions = {"causalinv": metadata.version("causalinv"), "python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in _CORE}
    for extra, module in _EXTRAS.items():
        installed = find_spec(module) is not None
        versions[f"extra {extra}"] = metadata.version(module) if installed else "not installed"
    return versions


def _show(values: dict[str, object] | dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(values, indent=2, ensure_ascii=False))  # noqa: T201
    else:
        print("\n".join(f"{key:<14} {value}" for key, value in values.items()))  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
