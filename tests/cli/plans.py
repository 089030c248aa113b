"""A plan of a study that takes a moment."""

PLAN = """
name = "tiny"
question = "Does it run?"
core_seconds = 1000
[[experiments]]
name = "hold"
protocol = { name = "trained", task = { name = "recall", symbols = 4, distractors = 3 }, lags = [1, 2] }
arms = { lstm = ["uniform"], gru = ["chrono"] }
seeds = [0]
hidden_size = 6
lr = 0.02
batch_size = 16
steps = 12
test_sequences = 1000
[[family.questions]]
measure = "solved"
name = "which"
task = "recall"
protocol = "trained"
levels = [2]
a = "lstm uniform"
b = "gru chrono (told the lag)"
predicted = true
minimum_effect = 0.3
margin = 0.2
"""
