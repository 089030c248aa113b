"""`longhold.config`, by the name that the modules of this package know it by."""

from longhold.config import Config as Config
from longhold.config import validation_line as validation_line
