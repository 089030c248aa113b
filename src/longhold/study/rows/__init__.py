"""A run as it is written down: its specification, its row, and the file that holds rows."""

from longhold.study.rows.row import Row as Row
from longhold.study.rows.spec import TrialSpec as TrialSpec
from longhold.study.rows.store import Store as Store
