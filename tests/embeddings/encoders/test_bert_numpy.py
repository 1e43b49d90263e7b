"""MiniLM in numpy equals transformers' own, whatever the text and its neighbours."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import _snapshot_download

from unisono.base.errors import UnisonoError
from unisono.embeddings.encoders import text
from unisono.embeddings.encoders.text import minilm

if minilm.packaged() is None:
    pytest.skip("the MiniLM weights are not here", allow_module_level=True)

TEXTS = [
    "slow solemn choir",
    "",
    "?!",
    "x " * 3000,
    "гитара, バイオリン",
    "Fast SOLO fiddle dance with drums.",
    "a",
    "\n",
]


def test_the_vectors_equal_those_of_transformers() -> None:
    ours, theirs = minilm.build_numpy(), text.build("minilm")
    found = ours.embed(TEXTS)
    np.testing.assert_allclose(found, theirs.embed(TEXTS), atol=1e-5)
    assert found.dtype == np.float32 and ours.spec == theirs.spec
    for row, caption in zip(found, TEXTS, strict=True):
        np.testing.assert_allclose(ours.embed([caption])[0], row, atol=1e-6)
    many = [f"{word} music {number}" for number in range(20) for word in ("piano", "harp")]
    np.testing.assert_allclose(ours.embed(many), np.concatenate([ours.embed([each]) for each in many]), atol=1e-6)
    assert ours.embed([]).shape == (0, 384)


def asking_the_hub(*given: Any, local_files_only: bool = False, **options: Any) -> str:
    """Do what version 1.31 of the hub's client does: ask for a list of files that was not kept."""
    if not local_files_only:
        raise OSError("no route to host")
    return _snapshot_download.snapshot_download(*given, local_files_only=True, **options)


def test_the_weights_are_found_in_the_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2"
    packaged = minilm.packaged()
    assert packaged is not None
    shutil.copytree(packaged, cache / "snapshots" / minilm.REVISION)
    monkeypatch.setattr(minilm, "packaged", lambda: None)
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert minilm.build_numpy().embed(["choir"]).shape == (1, 384)
    monkeypatch.setattr("huggingface_hub.snapshot_download", asking_the_hub)
    assert minilm.build_numpy().embed(["choir"]).shape == (1, 384)
    weights = cache / "snapshots" / minilm.REVISION / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UnisonoError, match="is not the official file"):
        minilm.build_numpy()
    weights.unlink()  # as a download that was cut leaves it
    with pytest.raises(UnisonoError, match=r"Cannot fetch .*: no route to host"):
        minilm.build_numpy()
    shutil.rmtree(cache)
    with pytest.raises(UnisonoError, match="Cannot fetch sentence-transformers/all-MiniLM-L6-v2") as caught:
        minilm.build_numpy()
    assert "pip install" in caught.value.hint
