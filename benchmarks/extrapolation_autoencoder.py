"""Our encoder against the paper's autoencoder (our own implementation, 3000 steps), and engression if it is installed.

Same data, same response, one run; needs torch.

    python benchmarks/extrapolation_autoencoder.py
"""

import sys
import time
from importlib.util import find_spec

import numpy as np
import pandas as pd
from _extrapolation import GAUSSIAN, LAWS, errors, shells, study
from _record import record

from causalinv.extrapolation import AutoencoderMMREncoder

SEEDS = range(700, 710)


def engression_errors(cell, seed):
    """Regression of y on the action alone that is meant to extrapolate; only where there is one action."""
    import torch
    from engression import engression

    data = cell.draw(seed)
    asked = shells(cell.k)
    torch.manual_seed(seed)
    as_tensor = lambda values: torch.as_tensor(values, dtype=torch.float32)  # noqa: E731
    start = time.process_time()
    model = engression(
        as_tensor(data.action[: cell.n]), as_tensor(data.y[: cell.n].reshape(-1, 1)), num_epochs=500, verbose=False
    )
    seconds = time.process_time() - start
    predicted = model.predict(as_tensor(asked), target="mean", sample_size=200).detach().numpy().ravel()
    return errors(predicted, data.truth_do(asked)), seconds


def main(quick=False):
    rows = []
    for cell in [*GAUSSIAN, LAWS[0], LAWS[2]]:
        for seed in list(SEEDS)[: 1 if quick else None]:
            for name, encoder in (
                ("ours", None),
                ("AE-MMR", AutoencoderMMREncoder(n_components=cell.d, random_state=0)),
            ):
                row = study(cell, seed, encoder=encoder)
                rows.append(
                    {"cell": cell.name, "seed": seed, "encoder": name}
                    | {
                        key: row[source]
                        for key, source in (
                            ("R2", "R2"),
                            ("in", "ours in"),
                            ("out", "ours out"),
                            ("far", "ours far"),
                            ("cpu", "cpu"),
                        )
                    }
                )
            if find_spec("engression") and cell in GAUSSIAN[:2]:
                (inside, out, far), seconds = engression_errors(cell, seed)
                rows.append(
                    {
                        "cell": cell.name,
                        "seed": seed,
                        "encoder": "engression (y on A)",
                        "R2": np.nan,
                        "in": inside,
                        "out": out,
                        "far": far,
                        "cpu": seconds,
                    }
                )
        print(pd.DataFrame(rows).tail(4).to_string(), flush=True)
    frame = pd.DataFrame(rows)
    table = frame.groupby(["cell", "encoder"], sort=False)[["R2", "in", "out", "far", "cpu"]].median()
    wide = frame.pivot_table(index=["cell", "seed"], columns="encoder", values=["R2", "out", "cpu"], sort=False)
    verdict = pd.DataFrame(
        {
            "R2, ours minus AE": (wide["R2"]["ours"] - wide["R2"]["AE-MMR"]).groupby("cell", sort=False).median(),
            "out, ours / AE": (wide["out"]["ours"] / wide["out"]["AE-MMR"]).groupby("cell", sort=False).median(),
            "cpu, ours / AE": (wide["cpu"]["ours"] / wide["cpu"]["AE-MMR"]).groupby("cell", sort=False).median(),
        }
    )
    if quick:
        print(table, verdict, sep="\n")
        return
    record(
        "extrapolation_autoencoder",
        {
            f"medians over seeds {SEEDS.start}-{SEEDS.stop - 1}; cpu: encoder and response, one thread": table,
            "ours against AE-MMR, medians of paired differences and ratios": verdict,
            "read with it": (
                "The leaky-ReLU mixings have the autoencoder's own architecture; the exponential-family encoder is "
                "maximum likelihood for Gaussian V; ours is the default encoder, which chooses between starts."
            ),
        },
        packages=("torch", "engression"),
    )


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
