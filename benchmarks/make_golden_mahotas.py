"""Write tests/golden/mahotas_zernike.json: what mahotas says of Zernike moments of three images, to degree 12."""

import json
from importlib.metadata import version
from pathlib import Path

import mahotas.features
import numpy as np

images = np.random.default_rng(7).random((3, 15, 15)).round(6)
golden = {
    "mahotas": version("mahotas"),
    "seed": 7,
    "radius": 7.5,
    "degree": 12,
    "moments": [mahotas.features.zernike_moments(image, 7.5, degree=12).tolist() for image in images],
}
path = Path(__file__).parents[1] / "tests" / "golden" / "mahotas_zernike.json"
path.write_text(json.dumps(golden, indent=1) + "\n")
