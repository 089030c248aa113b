"""A text to train on, and the settings of a training that takes a moment."""

STORY = "".join(f"On day {day} the traveller found sand, {day % 7} stones and a grey machine.\n" for day in range(60))
QUICK = {"steps": 10, "batch_size": 2, "sequence_length": 8, "evaluate_every": 5}
