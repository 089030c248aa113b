"""Jobs on a Ray cluster, or on Ray's processes on this machine; Ray is imported only here and only when asked."""

import importlib
import itertools
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from longhold.errors import InputError
from longhold.study.execution.workers import THREADS, Job, Pool
from longhold.study.text import texts


@final
class RayPool(Pool):
    """A pool of Ray tasks, one core and one thread each.

    It joins the cluster that `RAY_ADDRESS` names, where longhold has to be installed on every node, and takes all its
    cores; without that variable it starts Ray's processes on this machine.

    Args:
        workers: jobs at a time; None: one for each core that Ray has.

    Raises:
        InputError: Ray is not installed.
    """

    def __init__(self, workers: int | None = None) -> None:
        try:
            self._ray: Any = importlib.import_module("ray")
        except ImportError:
            raise InputError("executor 'ray': Ray is not installed, expected pip install 'longhold[ray]'") from None
        self._wanted = workers
        self._tickets = itertools.count()
        self._running: dict[Any, tuple[int, Job]] = {}

    def __enter__(self) -> Self:
        cluster = os.environ.get("RAY_ADDRESS")
        variables = {**dict.fromkeys(THREADS, "1"), **texts.environment()}
        if cluster is None:
            variables["PYTHONPATH"] = os.pathsep.join(
                path for path in (str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH")) if path
            )
        self._ray.init(
            address=cluster,
            num_cpus=self._wanted if cluster is None else None,
            include_dashboard=None if cluster else False,
            runtime_env={"env_vars": variables},
            log_to_driver=False,
            logging_level="ERROR",
        )
        self.is_local = cluster is None
        self.count = self._wanted or int(self._ray.cluster_resources().get("CPU", 1))
        self._call = self._ray.remote(num_cpus=1)(_call)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()
        self._ray.shutdown()

    def submit(self, job: Job) -> int:
        ticket = next(self._tickets)
        self._running[self._call.remote(job.name, job.argument)] = ticket, job
        return ticket

    def collect(self, timeout: float | None = None) -> tuple[int, Any] | None:
        ready, _ = self._ray.wait(list(self._running), timeout=timeout)
        if not ready:
            return None
        ticket, job = self._running.pop(ready[0])
        try:
            return ticket, self._ray.get(ready[0])
        except self._ray.exceptions.RayError as error:
            if isinstance(cause := getattr(error, "cause", None), InputError):
                raise InputError(str(cause)) from None
            raise RuntimeError(f"job {job.name} failed in Ray: {error}") from error


def _call(name: str, argument: dict[str, Any]) -> Any:
    """What runs in Ray's process."""
    import torch

    from longhold.study.execution.worker import FUNCTIONS

    torch.set_num_threads(1)
    return FUNCTIONS[name](argument)
