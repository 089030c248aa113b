"""One run: a specification in, a row out."""

from longhold.study.trial.trial import run_trial as run_trial
