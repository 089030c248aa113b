"""What a figure belongs to."""

import platform
import socket

import torch

from benchmarks import machine


def test_facts_name_versions_and_no_host() -> None:
    facts = machine.facts()
    assert facts["torch"] == torch.__version__
    assert facts["threads"] == torch.get_num_threads()
    assert facts["python"] == platform.python_version()
    assert facts["processor"]
    assert socket.gethostname() not in str(facts).split()


def test_a_machine_has_a_file_name() -> None:
    name = machine.name({"processor": "Intel(R) Xeon(R) @ 2.20GHz", "threads": 4})
    assert name == "cpu-intel-r-xeon-r-2-20ghz-4-threads"
