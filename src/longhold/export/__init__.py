"""A model for people without longhold: one HTML file, ONNX, plain torch.nn, a hub's folder; its overlap with the text.

`longhold.export.onnx` needs the extra `onnx` and is imported by its own name.
"""

from longhold.export.html import Page, export_html
from longhold.export.hub import export_hub
from longhold.export.plain import to_torch
from longhold.export.recitation import Recitation, recitation
from longhold.export.torch_nn import export_torch

__all__ = ["Page", "Recitation", "export_html", "export_hub", "export_torch", "recitation", "to_torch"]
