import getpass
import json
import platform

import torch

from longhold.study.rows.machine import Machine


def test_the_machine_has_no_name_and_no_path():
    here = Machine.here()
    shown = json.dumps(here.__dict__)
    assert here.cores >= 1
    assert here.torch == torch.__version__
    for private in (platform.node(), str(getpass.getuser()) + "@", "/home", "/work", "/root"):
        assert private == "" or private not in shown
