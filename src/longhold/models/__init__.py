"""What is trained and what it is compared with; the model file; the parameter-budget solver."""
