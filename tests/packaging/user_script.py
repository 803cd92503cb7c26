"""A user's script: mypy reads it with the package, pyright by `nox -s pyright`."""

import numpy as np
import pandas as pd

from causalinv import InvariantSubsetSelector, IVLikeRegression, SensitivityBounds, Translation
from causalinv.datasets import load_spector
from causalinv.inspection import SensitivityDisplay
from causalinv.invariance import certify

rng = np.random.default_rng(0)
X = pd.DataFrame(rng.normal(size=(100, 3)), columns=["a", "b", "c"])
y = X["a"] + rng.normal(size=100)
model = IVLikeRegression(augmentation=Translation([[0.0, 0.0, 1.0]])).fit(X, y)
interval: pd.DataFrame = model.confint(kind="identified")
text: str = str(model.summary())
selector = InvariantSubsetSelector().fit(X, y, environments=np.arange(100) % 3)
certificate = certify(selector, X + 0.01, y, environments=np.arange(100) % 3, eps=0.1, method="two_level")
share: float = certificate.violation_upper
students = load_spector()
bounds = SensitivityBounds(random_state=0).fit(students.X, students.y, treatment=students.treatment)
picture = SensitivityDisplay.from_estimator(bounds, "ate", odds_ratio=[1.0, 2.0])
