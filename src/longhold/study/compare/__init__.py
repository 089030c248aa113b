"""A person's texts compared: a plan that fits a time, its study and the page."""

from longhold.study.compare.run import CompareConfig as CompareConfig
from longhold.study.compare.run import compare as compare
