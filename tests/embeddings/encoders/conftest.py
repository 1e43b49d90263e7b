from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.embeddings.encoders import tiny


@pytest.fixture(scope="session")
def weights_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny random weights of all encoders, as `unisono encoders fetch` would lay them out."""
    root = tmp_path_factory.mktemp("weights")
    tiny.write_all(root)
    return root


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks gain nothing by a second core, and lose much when it is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
