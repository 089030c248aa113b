"""The recurrences, fast, and the choice of backend.

`reference` is the loop of `longhold.cells`; `torch` is what torch.nn itself calls (oneDNN, cuDNN, ATen).
"""

from longhold.kernels.backends import BACKENDS as BACKENDS
from longhold.kernels.backends import BackendRefused as BackendRefused
from longhold.kernels.backends import Choice as Choice
from longhold.kernels.backends import choose as choose
from longhold.kernels.backends import run as run
from longhold.kernels.backends import run_step as run_step
from longhold.kernels.backends import use_backend as use_backend
from longhold.kernels.call import DirectionNoise as DirectionNoise
from longhold.kernels.call import DirectionParameters as DirectionParameters
from longhold.kernels.call import StackCall as StackCall
from longhold.kernels.call import StackResult as StackResult
