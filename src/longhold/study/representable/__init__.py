"""What is representable, apart from what is learnt: networks whose weights are set by hand and solve a task exactly.

`hand_set(task, cell)` makes one, `representable(task, tests, cell)` tests it as trained networks are tested.
"""

from longhold.study.representable.circuit import Cell as Cell
from longhold.study.representable.circuit import Circuit as Circuit
from longhold.study.representable.machines import Automaton as Automaton
from longhold.study.representable.solutions import Representable as Representable
from longhold.study.representable.solutions import hand_set as hand_set
from longhold.study.representable.solutions import representable as representable
