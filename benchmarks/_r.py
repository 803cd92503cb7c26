"""Run R's InvariantCausalPrediction, from its own sources, on data drawn here; nothing but its numbers comes back."""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

__all__ = ["VERSIONS", "answers"]

VERSIONS = {"0.8": "8ef2dec", "0.7-1": "c63f197"}  # commits of https://github.com/cran/InvariantCausalPrediction
_FILES = {
    "ICP": ("0.8", ("ICP", "getpval", "pvalfunc", "getblanketall")),
    "hiddenICP": ("0.8", ("hiddenICP",)),
    "causalDantzig": ("0.7-1", ("causalDantzig",)),
}
_READ = """
options(warn = -1)
for (file in readLines("sources.txt")) source(file)
sets <- jsonlite::fromJSON("sets.json", simplifyDataFrame = FALSE)
answers <- lapply(sets, function(set) {
  D <- matrix(readBin(set$file, "double", set$n * set$p), ncol = set$p, byrow = TRUE)
  e <- D[, 1]; y <- D[, 2]; X <- D[, -(1:2), drop = FALSE]
  colnames(X) <- paste0("x", seq_len(ncol(X)) - 1)
  out <- NULL
  spoken <- capture.output(out <- peer(X, y, e, set$level))
  out
})
text <- jsonlite::toJSON(list(answers = answers, R = R.version.string), digits = I(17), auto_unbox = TRUE, na = "null")
writeLines(text, "answers.json")
"""


def answers(clone, functions, peer, data_sets):
    """What R says of each data set.

    Parameters
    ----------
    clone : path
        Git directory of cran/InvariantCausalPrediction.
    functions : sequence of {"ICP", "hiddenICP", "causalDantzig"}
    peer : str
        R code of a function of X, y, e and level that returns a named list.
    data_sets : iterable of (X, y, e, level)

    Returns
    -------
    list of dict, and the version of R
    """
    with tempfile.TemporaryDirectory() as name:
        folder, used = Path(name), []
        for function in functions:
            release, files = _FILES[function]
            for file in files:
                command = ["git", "-C", str(clone), "show", f"{VERSIONS[release]}:R/{file}.R"]
                (folder / f"{file}.R").write_text(
                    subprocess.run(command, capture_output=True, check=True, text=True).stdout
                )
                used.append(f"{file}.R")
        sets = []
        for k, (X, y, e, level) in enumerate(data_sets):
            rows = np.column_stack([e, y, X]).astype(float)
            (folder / f"{k}.bin").write_bytes(rows.tobytes())
            sets.append({"file": f"{k}.bin", "n": len(rows), "p": rows.shape[1], "level": level})
        (folder / "sources.txt").write_text("\n".join(used) + "\n")
        (folder / "sets.json").write_text(json.dumps(sets))
        (folder / "run.R").write_text(f"peer <- {peer}\n{_READ}")
        subprocess.run(["Rscript", "run.R"], cwd=folder, check=True)
        found = json.loads((folder / "answers.json").read_text())
    return found["answers"], found["R"]
