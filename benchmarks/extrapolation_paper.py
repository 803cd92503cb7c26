"""The paper's kind of experiment: random leaky-ReLU mixings, uniform actions, Gaussian and other V.

Ours, the paper's autoencoder (our implementation; extra torch), a multilayer perceptron on the action alone, and
engression on the action alone where it is installed.

python benchmarks/extrapolation_paper.py rows.jsonl [seeds] [first seed] [cell ...]
python benchmarks/extrapolation_paper.py --table rows.jsonl ...
"""

import json
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _extrapolation import Cell, best_polynomial, command, errors, shells
from sklearn.neural_network import MLPRegressor

from causalinv.extrapolation import AutoencoderMMREncoder, Rep4ExRegressor
from causalinv.metrics import affine_r2

CELLS = {
    "d=2, gaussian": Cell(2, 2, 10, 2000),
    "d=4, gaussian": Cell(4, 4, 10, 3000),
    "d=2, laplace": Cell(2, 2, 10, 2000, {"noise": "laplace"}),
    "d=2, gumbel": Cell(2, 2, 10, 2000, {"noise": "gumbel"}),
    "d=10, gaussian": Cell(10, 10, 20, 6000),
}
STEPS = 1000


def engression_on_action(action, y, asked, seed):
    import torch
    from engression import engression

    torch.manual_seed(seed)
    as_tensor = lambda values: torch.as_tensor(values, dtype=torch.float32)  # noqa: E731
    model = engression(as_tensor(action), as_tensor(y[:, None]), num_epochs=300, verbose=False)
    return model.predict(as_tensor(asked), target="mean", sample_size=100).detach().numpy().ravel()


def study(name, seed):
    cell = CELLS[name]
    data = cell.draw(seed)
    X, y, action = data.X[: cell.n], data.y[: cell.n], data.action[: cell.n]
    asked = shells(cell.k)
    truth = data.truth_do(asked)
    rows = []

    def add(model, predicted, start, fitted=None):
        inside, out, far = errors(predicted, truth)
        r2 = np.nan if fitted is None else affine_r2(data.Z[cell.n :], fitted.transform(data.X[cell.n :]))
        rows.append(
            {"cell": name, "seed": seed, "model": model, "R2": r2, "in": inside, "out": out, "far": far}
            | {"cpu": time.process_time() - start}
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoders = {"ours": None, "AE-MMR": AutoencoderMMREncoder(n_components=cell.d, n_steps=STEPS, random_state=0)}
        for label, encoder in encoders.items():
            start = time.process_time()
            model = Rep4ExRegressor(encoder, random_state=0).fit(X, y, action=action)
            add(label, model.predict_do(asked, on_unsupported="ignore"), start, model.encoder_)
        start = time.process_time()
        perceptron = MLPRegressor(hidden_layer_sizes=(64, 64), early_stopping=True, max_iter=300, random_state=0).fit(
            action, y
        )
        add("MLP on A", perceptron.predict(asked), start)
        if find_spec("engression"):
            start = time.process_time()
            add("engression on A", engression_on_action(action, y, asked, seed), start)
    inside, out, far = best_polynomial(action, y, asked, truth)
    rows.append(
        {"cell": name, "seed": seed, "model": "best polynomial (hindsight)", "in": inside, "out": out, "far": far}
    )
    return rows


def table(frame):
    groups = frame.groupby(["cell", "model"], sort=False)
    found = groups[["R2", "in", "out", "far", "cpu"]].median()
    found.insert(0, "seeds", groups.size())
    wide = frame.pivot_table(index=["cell", "seed"], columns="model", values="out", sort=False)
    beats = wide.drop(columns="ours").gt(wide["ours"], axis=0).groupby("cell", sort=False).mean()
    print(f"```text\n{found.round(3).to_string()}\n```\n")
    print("Share of seeds on which ours has the smaller error at 1 to 1.5:\n")
    print(f"```text\n{beats.round(2).to_string()}\n```")


def main(path, seeds, first, *names):
    with Path(path).open("a", encoding="utf-8") as out:
        for name in names or CELLS:
            for seed in range(int(first), int(first) + int(seeds)):
                out.writelines(json.dumps(row) + "\n" for row in study(name, seed))
                out.flush()


if __name__ == "__main__":
    command(table, main)
