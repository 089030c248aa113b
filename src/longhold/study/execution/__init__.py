"""Running a plan: workers, what a run costs, and what is listed of it."""
