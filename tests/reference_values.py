"""Figures for the rat tumours from an independent NumPy and SciPy quadrature.

Its grid is uniform, 500 x 1,600. Sums over it (evidence, means, standard deviations, predictive
probabilities, leave-one-out terms) are exact to ten digits. Quantiles are less: those of the
working coordinates and of the mean are nodes of the grid, up to 0.015 off; those of alpha and beta
are good to 1e-3, and those of units' rates to 4e-5. The 71st rate shows the last: under the same
mixture the probability below its "q05" of 0.10070534 is 0.0500207. Its quantiles, solved to full
precision on grids of 400 x 600 and 161 x 401 nodes, are those of `CURRENT_QUANTILES`.
"""

import json
from pathlib import Path

_FOLDER = Path(__file__).with_name("data")
REFERENCE = {
    units: json.loads((_FOLDER / f"rat_tumors_{units}.json").read_text()) for units in (70, 71)
}
# 5 %, 50 % and 95 % quantiles of the current experiment's rate (4 of 14), given the other 70.
CURRENT_QUANTILES = (0.10069545740508, 0.20246479950090, 0.34622615321726)
