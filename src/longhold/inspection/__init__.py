"""Instruments: what a trained model remembers, and by what means. They take any model that keeps the state contract."""

from longhold.inspection.h50 import Horizon, h50

__all__ = ["Horizon", "h50"]
