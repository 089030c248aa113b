"""Modules: `RNN`, `GRU`, `LSTM` and their `*Cell`, drop-ins for torch.nn that do what torch.nn cannot."""

from longhold.layers.gru import GRU as GRU
from longhold.layers.gru import GRUCell as GRUCell
from longhold.layers.lstm import LSTM as LSTM
from longhold.layers.lstm import LSTMCell as LSTMCell
from longhold.layers.masks import LayerMasks as LayerMasks
from longhold.layers.masks import Masks as Masks
from longhold.layers.rnn import RNN as RNN
from longhold.layers.rnn import RNNCell as RNNCell
from longhold.layers.trace import GRUTrace as GRUTrace
from longhold.layers.trace import LSTMTrace as LSTMTrace
from longhold.layers.trace import RNNTrace as RNNTrace
