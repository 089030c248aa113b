"""Claims: a predicate on rows and a template, in English and Chinese. Without its rows a claim is gone.

`claims(rows, family)` compares; `sentence(claim, language)` puts a claim into words.
"""

from longhold.study.claims.claim import Claim as Claim
from longhold.study.claims.claim import Family as Family
from longhold.study.claims.claim import Prediction as Prediction
from longhold.study.claims.claim import Tuning as Tuning
from longhold.study.claims.claim import Verdict as Verdict
from longhold.study.claims.evaluation import LEAST_SEQUENCES as LEAST_SEQUENCES
from longhold.study.claims.evaluation import claims as claims
from longhold.study.claims.questions import Question as Question
from longhold.study.claims.questions import RecallQuestion as RecallQuestion
from longhold.study.claims.questions import SeedHorizonQuestion as SeedHorizonQuestion
from longhold.study.claims.questions import SolvedQuestion as SolvedQuestion
from longhold.study.claims.questions import StepsQuestion as StepsQuestion
from longhold.study.claims.questions import TrainedHorizonQuestion as TrainedHorizonQuestion
from longhold.study.claims.readings import Language as Language
from longhold.study.claims.sentences import sentence as sentence
