"""Claims: a predicate on rows and a template, in English and Chinese. Without its rows a claim is gone.

`claims(rows, family)` compares; `horizons(rows)` states what each arm reached.
"""

from longhold.study.claims.horizons import StatedHorizon as StatedHorizon
from longhold.study.claims.horizons import horizons as horizons
from longhold.study.claims.judge import LEAST_SEQUENCES as LEAST_SEQUENCES
from longhold.study.claims.judge import Claim as Claim
from longhold.study.claims.judge import Family as Family
from longhold.study.claims.judge import Prediction as Prediction
from longhold.study.claims.judge import claims as claims
from longhold.study.claims.questions import Question as Question
from longhold.study.claims.questions import RecallQuestion as RecallQuestion
from longhold.study.claims.questions import SeedHorizonQuestion as SeedHorizonQuestion
from longhold.study.claims.questions import SolvedQuestion as SolvedQuestion
from longhold.study.claims.questions import StepsQuestion as StepsQuestion
from longhold.study.claims.questions import TrainedHorizonQuestion as TrainedHorizonQuestion
from longhold.study.claims.readings import Language as Language
from longhold.study.claims.sentences import Tuning as Tuning
from longhold.study.claims.sentences import Verdict as Verdict
