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
    given = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    if not given or (given[0].startswith("-") and given[0] not in {"-h", "--help", "--version"}):
        given.insert(0, "tour")
    args = parser.parse_args(given)
    if getattr(args, "seed", 0) < 0:
        parser.error(f"--seed must be >= 0, got {args.seed}")
    try:
        code: int = args.run(args)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - nothing more may be flushed to the closed pipe
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    """One command, one set of flags: what does not apply is refused."""
    parser = argparse.ArgumentParser(
        prog="python -m causalinv",
        description="Causal effects under hidden confounding, by invariance. Without a command: the tour.",
    )
    parser.add_argument("--version", action="version", version=f"causalinv {metadata.version('causalinv')}")
    commands = parser.add_subparsers(metavar="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the tables as JSON")
    seeded = argparse.ArgumentParser(add_help=False, parents=[common])
    seeded.add_argument("--seed", type=int, default=0, help="seed of the simulated parts (default 0)")

    tour = commands.add_parser("tour", parents=[seeded], help="what the package does, a screen a chapter")
    tour.add_argument("--chapter", type=int, metavar="N", help="this chapter only")
    tour.add_argument("--data", metavar="FOLDER", help="folder with the real data sets (else CAUSALINV_DATA)")
    tour.add_argument("--save", metavar="FOLDER", help="write tables (CSV), pictures (PNG) and one page (HTML) there")
    tour.set_defaults(run=_tour)

    info = commands.add_parser("info", parents=[common], help="versions")
    info.set_defaults(run=lambda args: _show(_info(), as_json=args.json))

    pac = commands.add_parser(
        "pac", parents=[seeded], help="how often does a rule learnt under m interventions break under fresh ones?"
    )
    pac.add_argument("--d", type=int, nargs="+", default=[10, 50], help="numbers of features (default 10 50)")
    pac.add_argument("--m", type=int, nargs="+", default=[30, 100], help="training interventions (default 30 100)")
    pac.add_argument("--sites", type=int, default=3, help="sites that interventions move (default 3)")
    pac.add_argument("--reps", type=int, default=20, help="replications of each cell (default 20)")
    pac.add_argument("--rows", type=int, help="rows per training environment (default: exact moments)")
    pac.add_argument("--fresh", type=int, default=10_000, help="fresh interventions of each replication (10000)")
    pac.add_argument("--jobs", type=int, help="worker processes")
    pac.add_argument("--shard", type=int, nargs=2, default=[0, 1], metavar=("I", "K"), help="every K-th, from the I-th")
    pac.add_argument("--out", metavar="FOLDER", help="keep the rows there as CSV; what is there is not run again")
    pac.add_argument("--progress", action="store_true", help="write what is done, of how many, to standard error")
    pac.set_defaults(run=_pac)
    return parser


def _tour(args: argparse.Namespace) -> int:
    from threadpoolctl import threadpool_limits

    from causalinv import tour

    names = tour.chapters()
    if args.chapter is not None and not 1 <= args.chapter <= len(names):
        print(f"error: --chapter must be 1 to {len(names)}, got {args.chapter}", file=sys.stderr)  # noqa: T201
        return 2
    done = {}
    for number in range(1, len(names) + 1) if args.chapter is None else [args.chapter]:
        if sys.stderr.isatty():
            sys.stderr.write(f"\rchapter {number} of {len(names)} …\r")
            sys.stderr.flush()
        try:
            with threadpool_limits(limits=1):  # small matrices: on a busy machine threads wait for each other
                (done[number],) = tour.run(random_state=args.seed, data=args.data, only=number)
        except FileNotFoundError as error:
            print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the command line talks to a person
            return 2
        if not args.json:
            print(done[number].text(f"Chapter {number}. ") + "\n")  # noqa: T201
    if args.json:
        _show({"chapters": [chapter.to_dict() for chapter in done.values()], "seed": args.seed}, as_json=True)
    if args.save is not None:
        tour.save(done, args.save)
        print(f"Written to {args.save}.", file=sys.stderr)  # noqa: T201
    return 0


def _pac(args: argparse.Namespace) -> int:
    from causalinv._printing import table_text
    from causalinv.invariance import InvariantSubsetSelector, PACExperiment
    from causalinv.sem import InterventionFamily, choose_sites, random_sem

    if not 1 <= args.sites <= min(args.d):
        least = f"the fewest features, --d {min(args.d)}"
        print(f"error: --sites must be from 1 to {least}; got {args.sites}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        experiment = PACExperiment(
            lambda d, rng: random_sem(d + 1, expected_degree=3.0, random_state=rng),
            lambda sem, rng: InterventionFamily(choose_sites(sem, args.sites, random_state=rng), per_env="single"),
            {"subset of at most 2": InvariantSubsetSelector(eps=0.05, max_size=2, search="exhaustive")},
            d=args.d,
            m=args.m,
            n_reps=args.reps,
            n_per_env=args.rows,
            n_fresh=args.fresh,
            random_state=args.seed,
        )
        table = experiment.run(args.jobs, shard=tuple(args.shard), out=args.out, progress=args.progress)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    summary = experiment.summary(table)
    if args.json:
        print(json.dumps(json.loads(summary.reset_index().to_json(orient="records")), indent=2))  # noqa: T201
    else:
        print("Share of fresh interventions whose gap exceeds the training gap, and its bound:\n")  # noqa: T201
        print(table_text(summary, floats=lambda v: f"{v:.3f}"))  # noqa: T201
    return int((table["error"] != "").any())


def _info() -> dict[str, str]:
    versions = {"causalinv": metadata.version("causalinv"), "python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in _CORE}
    for extra, module in _EXTRAS.items():
        installed = find_spec(module) is not None
        versions[f"extra {extra}"] = metadata.version(module) if installed else "not installed"
    return versions


def _show(values: dict[str, object] | dict[str, str], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(values, indent=2, ensure_ascii=False))  # noqa: T201
    else:
        print("\n".join(f"{key:<14} {value}" for key, value in values.items()))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
