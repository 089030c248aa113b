"""Statistics with the seed as the unit: proportions, differences, times with censoring, families of hypotheses.

`docs/statistics.md` says what is computed and why. Nothing here trains or reads a row.
"""

from longhold.study.statistics.estimates import CONFIDENCE as CONFIDENCE
from longhold.study.statistics.estimates import LEAST_SEEDS as LEAST_SEEDS
from longhold.study.statistics.estimates import POWER as POWER
from longhold.study.statistics.estimates import Estimate as Estimate
from longhold.study.statistics.estimates import Interval as Interval
from longhold.study.statistics.estimates import indicative as indicative
from longhold.study.statistics.families import Holm as Holm
from longhold.study.statistics.families import holm as holm
from longhold.study.statistics.proportions import Proportion as Proportion
from longhold.study.statistics.proportions import ProportionDifference as ProportionDifference
from longhold.study.statistics.proportions import detectable_proportion_difference as detectable_proportion_difference
from longhold.study.statistics.proportions import equivalent_proportions as equivalent_proportions
from longhold.study.statistics.proportions import proportion_difference as proportion_difference
from longhold.study.statistics.samples import DRAWS as DRAWS
from longhold.study.statistics.samples import RESAMPLES as RESAMPLES
from longhold.study.statistics.samples import Superiority as Superiority
from longhold.study.statistics.samples import detectable_mean_difference as detectable_mean_difference
from longhold.study.statistics.samples import equivalent_means as equivalent_means
from longhold.study.statistics.samples import mean_difference as mean_difference
from longhold.study.statistics.samples import permutation_test as permutation_test
from longhold.study.statistics.samples import superiority as superiority
from longhold.study.statistics.survival import Survival as Survival
from longhold.study.statistics.survival import Times as Times
from longhold.study.statistics.survival import log_rank_scores as log_rank_scores
from longhold.study.statistics.survival import log_rank_test as log_rank_test
from longhold.study.statistics.survival import log_rank_z as log_rank_z
from longhold.study.statistics.survival import restricted_times as restricted_times
from longhold.study.statistics.survival import survival as survival
from longhold.study.statistics.survival import times as times
