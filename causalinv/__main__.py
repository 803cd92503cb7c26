"""Command line: ``python -m causalinv`` runs the tour; ``python -m causalinv info`` prints versions."""

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
_EXTRAS = {"plot": "matplotlib", "graph": "networkx", "torch": "torch"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 done, 1 failed, 2 wrong use or missing data)."""
    parser = argparse.ArgumentParser(
        prog="python -m causalinv", description="Causal effects under hidden confounding, by invariance."
    )
    parser.add_argument("command", nargs="?", choices=("tour", "info"), default="tour", help="default: tour")
    parser.add_argument("--data", metavar="FOLDER", help="folder with the real data sets (else CAUSALINV_DATA)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulated parts (default 0)")
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")
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
