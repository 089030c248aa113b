"""The horizons, each from its own rows and never merged, and how seeds lie.

A trained horizon belongs to a group of seeds (`trained_horizon`). Extrapolated horizon, capacity and readable horizon
belong to one seed each and have a median over seeds (`seed_horizons`). A text horizon is that of the seeds' mean curve
(`text_horizon`).
"""

from longhold.study.horizon.modes import Mode as Mode
from longhold.study.horizon.modes import Modes as Modes
from longhold.study.horizon.modes import modes as modes
from longhold.study.horizon.ratio import HorizonRatio as HorizonRatio
from longhold.study.horizon.ratio import horizon_ratio as horizon_ratio
from longhold.study.horizon.seeds import SeedHorizons as SeedHorizons
from longhold.study.horizon.seeds import seed_horizons as seed_horizons
from longhold.study.horizon.text import TextHorizon as TextHorizon
from longhold.study.horizon.text import text_horizon as text_horizon
from longhold.study.horizon.trained import Outcomes as Outcomes
from longhold.study.horizon.trained import TrainedHorizon as TrainedHorizon
from longhold.study.horizon.trained import outcomes as outcomes
from longhold.study.horizon.trained import trained_horizon as trained_horizon
