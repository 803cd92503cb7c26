"""The recipe of docs/scale.md, run as it stands there on a local Spark."""

import re
import sys
from pathlib import Path

import pytest

from causalinv import Moments

from .test_sources import assert_same

pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed")
pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra arrow)")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Spark's own
def test_the_recipe_runs(table, monkeypatch):
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    from pyspark.sql import SparkSession

    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
    recipe = re.search(r"## Spark.*?```python\n(.*?)```", page, flags=re.DOTALL)[1]
    rows = table.rename(columns={"b": "dose", "y": "pain"})[["age", "dose", "pain"]]
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        scope = {"visits": spark.createDataFrame(rows).repartition(5)}
        exec(recipe, scope)
    finally:
        spark.stop()
    assert_same(scope["m"], Moments.from_rows(x=rows[["age", "dose"]], y=rows[["pain"]]), level=1e-8)
