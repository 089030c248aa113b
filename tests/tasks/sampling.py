"""What the tests of single tasks share: Monte Carlo margins, and answers that see no input."""

import math

import torch


def margin(p, n):
    """Four standard errors of a share `p` of `n` independent draws."""
    return 4 * math.sqrt(p * (1 - p) / n)


def blind_outputs(batch, output_size):
    """Outputs that know the step alone: at each, one for the target that is commonest there in this very batch.

    Fitted on what it is scored on, so on a large batch it is at least as good as any input-blind answer.
    """
    outputs = torch.zeros(*batch.mask.shape, output_size)
    for t in range(len(outputs)):
        targets = batch.targets[t][batch.mask[t]]
        if len(targets):
            outputs[t, :, targets.mode().values] = 1
    return outputs
