"""The fixed-point stepper: one definition of inference that gives the same bits everywhere."""

from longhold.integer.fixed import TOTAL
from longhold.integer.generator import IntegerGenerator, draw
from longhold.integer.loss import float_bits, integer_bits, quantization_loss
from longhold.integer.model import IntegerModel
from longhold.integer.packing import Unpacked, packed, unpacked
from longhold.integer.quantize import quantize
from longhold.integer.stepper import IntegerStepper, LayerView
from longhold.integer.writer import IntegerWriter

__all__ = [
    "TOTAL",
    "IntegerGenerator",
    "IntegerModel",
    "IntegerStepper",
    "IntegerWriter",
    "LayerView",
    "Unpacked",
    "draw",
    "float_bits",
    "integer_bits",
    "packed",
    "quantization_loss",
    "quantize",
    "unpacked",
]
