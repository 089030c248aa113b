"""A model for people without longhold: one HTML file, ONNX, plain torch.nn."""
