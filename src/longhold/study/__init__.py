"""The memory study: plans of runs, their rows, and what follows from them (docs/study.md)."""
