"""Training: one plain function and the pieces around it.

train              the loop: (model, batches, config, held_out, run, on_progress, sample) -> TrainResult
TrainConfig        its configuration; `load_config` reads TOML and flags
preset             settings for a text of this length on this machine, and the reason in a sentence
forecast           what training on a text would be and take, before it begins
text_batches       contiguous batches of a text by a configuration; `fitted_config` shrinks it for a short text
with_budget        a time budget as a number of steps; `parse_duration` reads "10m"
Run                the folder of a run: plan, checkpoint, metrics, lock
evaluate           held-out nats per token, state carried over the whole stream
ProgressDisplay    `on_progress` for a terminal or plain lines
Diverged           raised where a training diverged before it was of use
Interrupted        raised after Ctrl-C, SIGTERM or SIGHUP, with the checkpoint written; has `exit_code`
is_main            whether this process prints, under `torchrun`; `local_device` is its device

When training stops is in `stopping`, one update of the weights in `step`, the weights that are kept in `best`.
"""

from longhold.training.batches import Batch, Batches, fitted_config, text_batches
from longhold.training.budget import parse_duration, step_probe, steps_for_budget, with_budget
from longhold.training.config import TrainConfig, checked, load_config
from longhold.training.distributed import is_main, join, local_device
from longhold.training.divergence import Diverged
from longhold.training.evaluation import HeldOut, evaluate
from longhold.training.forecasts import Forecast, forecast
from longhold.training.loop import TrainResult, train
from longhold.training.presets import Preset, preset
from longhold.training.progress import ProgressDisplay, printable
from longhold.training.report import Progress
from longhold.training.run import Run
from longhold.training.signals import Interrupted

__all__ = [
    "Batch",
    "Batches",
    "Diverged",
    "Forecast",
    "HeldOut",
    "Interrupted",
    "Preset",
    "Progress",
    "ProgressDisplay",
    "Run",
    "TrainConfig",
    "TrainResult",
    "checked",
    "evaluate",
    "fitted_config",
    "forecast",
    "is_main",
    "join",
    "load_config",
    "local_device",
    "parse_duration",
    "preset",
    "printable",
    "step_probe",
    "steps_for_budget",
    "text_batches",
    "train",
    "with_budget",
]
