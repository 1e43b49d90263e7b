"""Two processes learn what one process learns on the joint batch."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import REPOSITORY
from tests.loaded import Program, start
from tests.retrieval.train.synthetic import write_embeddings
from unisono.base.errors import UsageError
from unisono.retrieval.checkpoint import load
from unisono.retrieval.train import distributed
from unisono.retrieval.train.run import train

SCRIPT = """
import sys
import numpy as np
import torch
from pathlib import Path
from unisono.embeddings.encoders.text_store import TextTable
from unisono.embeddings.encoders.text_tokens import TokenTable
from unisono.embeddings.file import open_embeddings
from unisono.retrieval.train import distributed, losses
from unisono.retrieval.train.data import Batch, WindowDraw, read
from unisono.retrieval.heads import Architecture, ProjectionHeads
from unisono.retrieval.train.config import TrainingConfig
from unisono.retrieval.train.step import Step, StoredTexts

data, out = map(Path, sys.argv[1:])
found = {}
with distributed.processes(torch.device("cpu")):
    with open_embeddings(data) as file:
        train = read([file], "musicnn", windows=True).train
    table = TextTable(np.random.default_rng(0).normal(size=(96, 24)).astype(np.float32), np.arange(96))
    begin = np.cumsum([0, *(1 + row % 5 for row in range(96))])
    words = TokenTable(np.random.default_rng(1).normal(size=(begin[-1], 24)).astype(np.float16), begin, np.arange(96))
    for loss in losses.names():
        for projection in ("text", "joint"):
            for micro in (None, 2):
                tokens = {"maxsim": 0.4, "audio_windows": 2} if micro else {}
                config = TrainingConfig(loss=loss, projection=projection, micro_batch=micro, audio_noise=0.0, **tokens)
                architecture = Architecture(text_dim=24, audio_dim=16, layers=3, projection=projection, dim=16,
                    scaled_dim=16, text_head="mlp", audio_head="linear", hidden=8, dropout=0.0, token_head=bool(tokens))
                torch.manual_seed(0)
                heads = ProjectionHeads(architecture)
                step = Step(heads, train, StoredTexts(table, torch.device("cpu")), config,
                    tokens=words if tokens else None)
                # an excerpt that is there twice, in the parts of two processes
                rows = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0])
                windows = WindowDraw(train.windows.begin, 2)(np.random.default_rng(0), rows) if micro else None
                value = step(Batch(rows, rows * 2, windows, np.where(rows % 3, rows * 2 + 1, -1)), 0)
                gradients = {name: each.grad for name, each in heads.named_parameters() if each.grad is not None}
                found[f"{loss} {projection} {micro}"] = {"loss": torch.tensor(value), **gradients}
    if distributed.rank() == 0:
        torch.save(found, out)
"""


def run_processes(count: int, *command: object, cwd: Path) -> list[tuple[str, str]]:
    """Start processes in the environment that torchrun gives to its workers; return what each has printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": "1",
        "UNISONO_CAPTIONS": str(cwd / "captions"),
    }
    processes = [start(*command, cwd=cwd, env=environment | {"RANK": str(rank)}) for rank in range(count)]
    said = [process.communicate(timeout=200) for process in processes]
    assert not any(process.returncode for process in processes), said
    return said


def test_gradients_of_two_processes_are_those_of_one(tmp_path: Path):
    data = write_embeddings(tmp_path, layers=3, windows=3)
    for count in (1, 2):
        run_processes(count, "-c", SCRIPT, data, tmp_path / f"{count}.pt", cwd=tmp_path)
    one, two = (torch.load(tmp_path / f"{count}.pt", weights_only=True) for count in (1, 2))
    assert one.keys() == two.keys() and len(one) == 16
    for kind in one:
        assert one[kind].keys() == two[kind].keys() and len(one[kind]) >= 6
        for name in one[kind]:
            assert torch.allclose(one[kind][name], two[kind][name], rtol=1e-4, atol=1e-6), (kind, name)


def test_the_command_in_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UNISONO_CAPTIONS", str(tmp_path / "captions"))
    write_embeddings(tmp_path / "data", (24, 4, 4), encoder="muq")
    train(tmp_path / "data", epochs=2, batch_size=8, dropout=0, audio_noise=0, checkpoint_dir=tmp_path / "one")
    words = "--data-dir data --epochs 2 --batch-size 8 --dropout 0 --audio-noise 0 --checkpoint-dir two"
    (out, err), (other_out, _) = run_processes(2, REPOSITORY / "train.py", *words.split(), cwd=tmp_path)
    assert "Best epoch" in out and "Training on 24 excerpts" in err and "Best epoch" not in other_out
    assert (tmp_path / "two" / "muq_train.log").read_text().count("Epoch ") == 2
    one, two = (load(tmp_path / folder / "muq_last.pt") for folder in ("one", "two"))
    assert one.progress["step"] == two.progress["step"] == 6
    for name, tensor in one.weights.items():
        assert torch.allclose(tensor, two.weights[name], atol=2e-3), name


def test_two_nodes_one_of_which_is_killed_and_one_process_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNISONO_CAPTIONS", str(tmp_path / "captions"))
    write_embeddings(tmp_path / "data", (24, 4, 4), encoder="muq")
    settings: dict[str, Any] = {"epochs": 40, "batch_size": 8, "dropout": 0, "audio_noise": 0}
    train(tmp_path / "data", checkpoint_dir=tmp_path / "one", **settings)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = (
        "--data-dir data --epochs 40 --batch-size 8 --dropout 0 --audio-noise 0 --save-seconds 0 --checkpoint-dir two"
    )
    agents = [
        start(
            *(
                "-m",
                "torch.distributed.run",
                "--nnodes",
                2,
                "--node-rank",
                node,
                "--nproc-per-node",
                1,
                "--rdzv-id",
                "x",
            ),
            *(
                "--rdzv-backend",
                "c10d",
                "--rdzv-endpoint",
                f"127.0.0.1:{port}",
                REPOSITORY / "train.py",
                *words.split(),
            ),
            cwd=tmp_path,
        )
        for node in range(2)
    ]
    last = tmp_path / "two" / "muq_last.pt"
    wait_until(lambda: last.exists() and load(last).progress["step"] > 9)
    os.kill(worker_of(agents[1]), signal.SIGKILL)
    said = "".join(agent.communicate()[1] for agent in agents)
    assert all(agent.returncode for agent in agents)
    saved = load(last).progress["step"]
    assert f"The state after step {saved} of 120 was saved to two/muq_last.pt" in " ".join(said.split())
    assert "a fault of unisono" not in said
    train(resume=last, embeddings=tmp_path / "data", save_seconds=30)
    one, two = (load(tmp_path / folder / "muq_last.pt") for folder in ("one", "two"))
    assert 9 < saved < one.progress["step"] == two.progress["step"] == 120
    for name, tensor in one.weights.items():
        assert torch.allclose(tensor, two.weights[name], atol=2e-3), name


def worker_of(agent: Program) -> int:
    """Return the process of the worker that an agent of torchrun started."""
    (number,) = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()
    return int(number)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 200
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(UsageError, match="batch_size 33 cannot be shared equally by 2 processes") as refused:
        train(tmp_path, batch_size=33)
    assert refused.value.parameter == "batch_size"
