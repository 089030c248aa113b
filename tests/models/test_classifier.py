"""The classifier answers at every step and learns where it is asked."""

import torch

from longhold.models.classifier import ClassifierConfig


def test_a_classifier_learns_to_recall_the_first_token() -> None:
    torch.manual_seed(0)
    model = ClassifierConfig(cell="lstm", vocab_size=5, num_classes=3, hidden_size=16, init="forget:1").build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    first = torch.arange(30) % 3
    inputs = torch.cat([first.unsqueeze(0), torch.randint(3, 5, (6, 30))])  # (7, 30)
    targets = torch.full_like(inputs, -100)
    targets[-1] = first
    for _ in range(100):
        nats, _ = model.loss(inputs, targets)
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
    outputs, _ = model(inputs)
    assert outputs.shape == (7, 30, 3)
    assert torch.equal(outputs[-1].argmax(-1), first)
