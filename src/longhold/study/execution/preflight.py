"""What can be refused before any run starts: memory for runs that train at once, and data that is not there."""

from collections import Counter
from collections.abc import Iterable

from longhold.models.memory import require_memory
from longhold.study.execution.cost import kind_of, representatives
from longhold.study.execution.workers import Pool
from longhold.study.rows.spec import TrialSpec, digest_of
from longhold.study.trial.trial import training_bytes
from longhold.tasks import paradigm_path, read_pairs, task_from_json


def require_runnable(specs: Iterable[TrialSpec], pool: Pool) -> None:
    """Refuse runs for which this machine lacks memory or data; of other machines nothing is known here.

    Raises:
        InputError: as many runs as train at once take more memory than there is, a task cannot be sampled, or a set of
            minimal pairs cannot be read.
    """
    if not pool.is_local:
        return
    runs = list(specs)
    kinds = representatives(runs)
    _require_memory(runs, kinds, pool.count)
    tasks = {digest_of(values): values for spec in kinds.values() for values in (spec.task, *spec.tests)}
    for values in tasks.values():
        task_from_json(values).batch_at(0, 0, 1)
    for paradigm in sorted({name for spec in kinds.values() for name in spec.pairs}):
        read_pairs(paradigm_path(paradigm))


def _require_memory(runs: list[TrialSpec], kinds: dict[str, TrialSpec], workers: int) -> None:
    """Count the largest runs, as many as there are workers: each of them may train at the same time."""
    counts = Counter(map(kind_of, runs))
    sizes = sorted((training_bytes(spec), kind) for kind, spec in kinds.items())
    together = [one for one in reversed(sizes) for _ in range(counts[one[1]])][:workers]
    if together:
        largest = kinds[together[0][1]].experiment
        at_once = "1 run" if len(together) == 1 else f"{len(together)} runs at once"
        require_memory(sum(size for size, _ in together), f"{largest}: training {at_once} (workers={workers})")
