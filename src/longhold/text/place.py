"""Where a training is saved."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from longhold.files import Source, StrPath, argument, make_folder, require_output
from longhold.text.model import FILE, TextModel
from longhold.training import Run, is_main


@final
@dataclass(frozen=True)
class Place:
    """The model file and the folder of the run."""

    output: StrPath | None
    """The model file; None: nowhere."""
    folder: Path | None
    """Where the run is saved as it goes; None: nowhere."""
    overwrite: bool
    """Whether the file may also replace one that is no model of longhold."""
    tensorboard: bool
    """Whether event files are written into the folder."""

    def require(self, read: Sequence[Source]) -> None:
        """Refuse, before anything is trained, what could not be written at the end; `read` are the inputs.

        Raises:
            InputError: the file or the folder cannot be written.
        """
        if self.output is not None:
            require_output(self.output, FILE, inputs=read, overwrite=self.overwrite)
        if self.folder is not None:
            Run(self.folder, tensorboard=self.tensorboard).require_ours()

    def make_folder(self) -> None:
        """Make the folder with the rights of the model file that is there: a checkpoint has the same weights."""
        if self.folder is not None and self.output is not None and os.path.exists(self.output):
            make_folder(self.folder, like=self.output)

    def save(self, model: TextModel) -> None:
        """Write the model file, in the first of several workers."""
        if self.output is not None and is_main():
            model.save(self.output, overwrite=self.overwrite)

    def stopped_note(self) -> str | None:
        """Returns the sentence for a person who stopped the training; None where nothing is saved."""
        if self.output is None:
            return None
        name = argument(self.output)
        return f"the model so far is saved in {name}: longhold write {name}"
