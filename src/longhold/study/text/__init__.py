"""Text in a study: the task, its corpora, and what a trained model makes of them."""
