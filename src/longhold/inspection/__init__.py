"""Instruments: what a trained model remembers, and by what means. They take any model that keeps the state contract."""

from longhold.inspection.by_lag import LEVELS, Decay, NormsByLag, fit_decay
from longhold.inspection.context_use import ContextUse, context_use
from longhold.inspection.gates import GateRecord, Saturation, gates
from longhold.inspection.gradient_by_lag import GradientByLag, gradient_by_lag
from longhold.inspection.h50 import Horizon, h50
from longhold.inspection.jacobian_by_lag import JacobianByLag, jacobian_by_lag
from longhold.inspection.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from longhold.inspection.memory_horizon import ReadableHorizon, RecallByLag, readable_horizon, recall_by_lag
from longhold.inspection.reading import Reading, read
from longhold.inspection.text_properties import text_properties
from longhold.inspection.text_trace import Odds, Piece, TextTrace
from longhold.inspection.time_constants import TimeConstants, bias_time_constants, time_constants
from longhold.inspection.unit_scores import UnitScore, UnitScores, unit_scores
from longhold.inspection.unit_step import GateSum, UnitStep, unit_step

__all__ = [
    "LEVELS",
    "ContextUse",
    "Decay",
    "GateRecord",
    "GateSum",
    "GradientByLag",
    "Horizon",
    "JacobianByLag",
    "LyapunovSpectrum",
    "NormsByLag",
    "Odds",
    "Piece",
    "ReadableHorizon",
    "Reading",
    "RecallByLag",
    "Saturation",
    "TextTrace",
    "TimeConstants",
    "UnitScore",
    "UnitScores",
    "UnitStep",
    "bias_time_constants",
    "context_use",
    "fit_decay",
    "gates",
    "gradient_by_lag",
    "h50",
    "jacobian_by_lag",
    "lyapunov_spectrum",
    "read",
    "readable_horizon",
    "recall_by_lag",
    "text_properties",
    "time_constants",
    "unit_scores",
    "unit_step",
]
