"""The extension: its instruction sets, and life without it."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
import torch
from torch import Tensor

import longhold
from longhold.kernels.extension import loaded, why_missing
from tests.kernels.sequences import Case, by_operator, draw, machine

PREPARE = {
    "missing": "sys.modules['longhold.kernels._cpu'] = None",
    "broken": """
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "longhold.kernels._cpu":
            raise ImportError("libgomp.so.1: cannot open\\n  shared object file")
sys.meta_path.insert(0, Broken())
""",
}
WITHOUT = """
import sys
{prepare}
import torch, longhold
from longhold.kernels import BackendRefused
from longhold.kernels.extension import loaded, why_missing

reason = why_missing()
assert reason and "\\n" not in reason, reason
torch.manual_seed(0)
for cell in (longhold.RNN, longhold.GRU, longhold.LSTM):
    layer, x = cell(3, 4, num_layers=2, bidirectional=True, dtype=torch.float64), torch.randn(5, 2, 3).double()
    call = dict(lengths=[5, 2], reset=torch.zeros(5, 2, dtype=torch.bool))
    choice = longhold.explain(layer, x)
    assert choice.backend == "torch" and choice.refused["cpu"] == reason, choice
    assert str(choice).count(reason) == 1
    for given in ({{}}, call):
        free, _ = layer(x, **given)
        free.sum().backward()
        for backend in ("torch", "reference"):
            with longhold.use_backend(backend):
                torch.testing.assert_close(layer(x, **given)[0], free)
    with longhold.use_backend("cpu"):
        for call in (layer, lambda x: longhold.explain(layer, x)):
            try:
                call(x)
            except BackendRefused as refused:
                assert reason in str(refused)
            else:
                raise SystemExit("not refused")
try:
    loaded()
except RuntimeError as error:
    assert str(error) == reason
else:
    raise SystemExit("loaded() gave something")
print(reason)
"""


@pytest.mark.parametrize(
    ("how", "expected"),
    [("missing", "not built"), ("broken", "cannot be loaded: libgomp.so.1: cannot open shared object file")],
)
def test_without_the_extension_the_other_backends_do_the_work(how: str, expected: str) -> None:
    program = WITHOUT.format(prepare=PREPARE[how])
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def test_it_is_there() -> None:
    assert why_missing() is None
    assert why_missing() is None, "and stays there"


def test_the_instruction_sets_are_the_processors() -> None:
    sets = loaded().instruction_sets()
    assert sets[-1] == "plain"
    assert len(set(sets)) == len(sets)
    order = [name for name in ("avx512", "avx2", "plain") if name in sets]
    assert sets == order, "best first"
    capability = torch.backends.cpu.get_cpu_capability()
    if "AVX2" in capability or "AVX512" in capability:
        assert "avx2" in sets
    if "AVX512" in capability:
        assert "avx512" in sets


def test_the_best_is_used_until_another_is_named() -> None:
    assert loaded().instruction_set() == loaded().instruction_sets()[0]
    for name in loaded().instruction_sets():
        with machine(1, name):
            assert loaded().instruction_set() == name
    assert loaded().instruction_set() == loaded().instruction_sets()[0]


@pytest.mark.parametrize("name", ["", "sse9", "AVX2", "plain "])
def test_an_instruction_set_that_is_not_there_is_refused_by_name(name: str) -> None:
    before = loaded().instruction_set()
    with pytest.raises(ValueError, match=f"no {name}"):
        loaded().use_instruction_set(name)
    assert loaded().instruction_set() == before


@pytest.mark.parametrize("kind", ["rnn_tanh", "gru", "lstm"])
def test_instruction_sets_really_differ(kind: str) -> None:
    """Float32 sums in another order: a set that silently ran another one's code would give the same bits."""
    sequence = draw(Case(kind, T=20, B=5, H=100, dtype=torch.float32))
    found = []
    for name in loaded().instruction_sets():
        with machine(1, name), torch.no_grad():
            found.append(by_operator(kind, sequence)["h"])
    plain = found[-1]
    assert all(not torch.equal(other, plain) for other in found[:-1])


@pytest.mark.parametrize("threads", [1, 2])
def test_python_threads_call_it_at_the_same_time(threads: int) -> None:
    layers = [getattr(longhold, name)(7, 130) for name in ("RNN", "GRU", "LSTM", "GRU")]
    x = torch.randn(30, 3, 7)
    results: dict[int, list[Tensor]] = {n: [] for n in range(len(layers))}

    def work(n: int) -> None:
        torch.set_num_threads(threads)
        for _ in range(10):
            with longhold.use_backend("cpu"):
                output, _ = layers[n](x)
            output.sum().backward()
            results[n].append(output.detach())

    with machine(threads):
        workers = [threading.Thread(target=work, args=(n,)) for n in range(len(layers))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for n, layer in enumerate(layers):
            with longhold.use_backend("cpu"):
                expected, _ = layer(x)
            assert len(results[n]) == 10
            assert all(torch.equal(value, expected) for value in results[n])


def test_no_thread_is_added() -> None:
    """The extension works in torch's own pool: after torch has used its threads there are as many as before."""

    def count() -> int:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))

    sequence = draw(Case("gru", T=10, B=33, H=64, dtype=torch.float32))
    with machine(2), torch.no_grad():
        torch.randn(500, 500) @ torch.randn(500, 500)
        torch.randn(1000, 1000).exp_()
        before = count()
        by_operator("gru", sequence)
        assert count() == before
