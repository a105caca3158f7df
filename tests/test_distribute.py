"""Training under tf.distribute ends with the weights of one process on one device."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "distributed_training.py"


def start(train, kind, **environment):
    command = [sys.executable, PROGRAM, train, kind]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=os.environ | environment, **pipes)


def finish(process):
    try:
        printed, errors = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    result = json.loads(printed.splitlines()[-1])
    return result["replicas"], np.concatenate(result["weights"])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def together(*processes):
    """The weights that all processes print, which run at once: first one alone, then the replicas'."""
    (one, expected), *others = [finish(process) for process in processes]
    assert one == 1
    for replicas, weights in others:
        assert replicas == 2
        assert np.allclose(weights, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("backend", ["native", "graph", "scipy"], indirect=True)
def test_mirrored_strategy_on_two_virtual_devices(backend):
    together(*(start("fit", kind, TFQZ_BACKEND=backend) for kind in ("none", "mirrored")))


def test_multi_worker_strategy_with_two_processes():
    workers = [f"127.0.0.1:{free_port()}" for _ in range(2)]

    def config(index):
        return json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})

    together(start("loop", "none"), *(start("loop", "workers", TF_CONFIG=config(index)) for index in range(2)))
