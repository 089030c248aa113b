"""The mathematics: one step of each recurrence as a pure function on tensors, and the one reference loop over time.

This package imports torch only. It is the oracle that everything else is tested against.
"""

from longhold.cells.gru import GRUGates as GRUGates
from longhold.cells.gru import GRURecurrence as GRURecurrence
from longhold.cells.gru import GRUState as GRUState
from longhold.cells.gru import GRUWeights as GRUWeights
from longhold.cells.gru import gru_step as gru_step
from longhold.cells.lstm import LSTMGates as LSTMGates
from longhold.cells.lstm import LSTMRecurrence as LSTMRecurrence
from longhold.cells.lstm import LSTMState as LSTMState
from longhold.cells.lstm import LSTMWeights as LSTMWeights
from longhold.cells.lstm import lstm_step as lstm_step
from longhold.cells.recurrence import Recurrence as Recurrence
from longhold.cells.recurrence import Unrolled as Unrolled
from longhold.cells.recurrence import product as product
from longhold.cells.recurrence import unroll as unroll
from longhold.cells.rnn import RNNRecurrence as RNNRecurrence
from longhold.cells.rnn import RNNState as RNNState
from longhold.cells.rnn import RNNWeights as RNNWeights
from longhold.cells.rnn import rnn_step as rnn_step
