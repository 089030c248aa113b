"""What is run: plans and their experiments, how a rate is chosen, and what is due next."""

from longhold.study.plan.plan import Experiment as Experiment
from longhold.study.plan.plan import Plan as Plan
from longhold.study.plan.plan import load_plan as load_plan
