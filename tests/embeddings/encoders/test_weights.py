"""Finding weights on disk, and refusing what is broken or of another model."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from unisono.base.errors import DataError, UnisonoError
from unisono.base.log import log
from unisono.embeddings.encoders import audio, weights
from unisono.embeddings.encoders.audio import WeightsAbsentError
from unisono.embeddings.encoders.audio.mert import WEIGHTS
from unisono.embeddings.encoders.fetch import fetch


@pytest.fixture
def folder(weights_root: Path, tmp_path: Path) -> Path:
    """A folder of tiny MERT weights that a test may break."""
    return Path(shutil.copytree(weights_root / "mert", tmp_path / "mert"))


def test_weights_that_are_not_here_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsAbsentError) as caught:
        audio.build("mert")
    assert str(tmp_path / "mert") in caught.value.message
    assert "unisono encoders fetch mert" in caught.value.hint
    assert WEIGHTS.repo in caught.value.hint
    assert WEIGHTS.revision in caught.value.hint
    assert not weights.is_here("mert", WEIGHTS)


def test_weights_are_found_by_folder_by_file_and_by_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = torch.randn(1, 24_000)
    by_folder = audio.build("mert", weights=folder)
    by_file = audio.build("mert", weights=folder / "pytorch_model.bin")
    monkeypatch.setenv("UNISONO_WEIGHTS", str(folder.parent))
    assert weights.is_here("mert", WEIGHTS)
    by_environment = audio.build("mert")
    assert torch.equal(by_folder.embed(windows), by_file.embed(windows))
    assert torch.equal(by_folder.embed(windows), by_environment.embed(windows))
    assert by_folder.spec == by_file.spec == by_environment.spec


def test_weights_are_found_in_the_hubs_own_cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "hub"
    snapshot = cache / "models--m-a-p--MERT-v1-330M" / "snapshots" / WEIGHTS.revision
    shutil.copytree(folder, snapshot)
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path / "empty"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    encoder = audio.build("mert")
    assert encoder.spec.revision == WEIGHTS.revision


def test_weights_that_are_not_the_published_ones_are_named_by_their_own_hash(folder: Path) -> None:
    import hashlib

    encoder = audio.build("mert", weights=folder)
    digest = hashlib.sha256((folder / "pytorch_model.bin").read_bytes()).hexdigest()
    assert encoder.spec.revision == f"sha256:{digest}"
    assert encoder.spec.dim != audio.spec("mert").dim


def test_safetensors_and_pytorch_files_give_the_same(folder: Path) -> None:
    windows = torch.randn(1, 24_000)
    pickled = audio.build("mert", weights=folder).embed(windows)
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    (folder / "pytorch_model.bin").unlink()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    assert torch.equal(audio.build("mert", weights=folder).embed(windows), pickled)


def test_half_precision_weights_are_widened(folder: Path) -> None:
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save({name: tensor.half() for name, tensor in tensors.items()}, folder / "pytorch_model.bin")
    assert audio.build("mert", weights=folder).embed(torch.randn(1, 24_000)).dtype == torch.float32


@pytest.mark.parametrize("name", ["muq", "muq_mulan", "mert", "mert_95m", "latent", "clap"])
@pytest.mark.parametrize("share", [0, 0.3, 0.999])
def test_a_file_cut_short_is_refused(weights_root: Path, tmp_path: Path, name: str, share: float) -> None:
    shutil.copytree(weights_root / name, tmp_path, dirs_exist_ok=True)
    path = max(tmp_path.iterdir(), key=lambda path: path.stat().st_size)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=rf"{path.name} (is cut short or|asks for code)"):
        audio.build(name, weights=tmp_path)


@pytest.mark.parametrize(
    ("name", "other"), [("mert", "mert_95m"), ("mert", "clap"), ("clap", "mert"), ("latent", "clap")]
)
def test_a_file_of_another_model_is_refused(weights_root: Path, tmp_path: Path, name: str, other: str) -> None:
    shutil.copytree(weights_root / name, tmp_path, dirs_exist_ok=True)
    path = tmp_path / ("music2latent.pt" if name == "latent" else "pytorch_model.bin")
    if {name, other} == {"mert", "mert_95m"}:
        tensors = torch.load(weights_root / other / "pytorch_model.bin", weights_only=True)
        torch.save({key: tensor for key, tensor in tensors.items() if "layers.2" not in key}, path)
    else:
        shutil.copyfile(weights_root / other / "pytorch_model.bin", path)
    with pytest.raises(DataError, match=r"is not of (MERT|CLAP|Music2Latent)"):
        audio.build(name, weights=tmp_path)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["mert", "latent"])
def test_nothing_that_came_with_the_weights_is_run(weights_root: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(weights_root / name, tmp_path / "weights")
    path = tmp_path / "weights" / ("music2latent.pt" if name == "latent" else "pytorch_model.bin")
    torch.save({"bomb": Bomb(tmp_path / "went_off")}, path)
    with pytest.raises(DataError, match="asks for code to be run"):
        audio.build(name, weights=path.parent)
    assert not (tmp_path / "went_off").exists()


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"model_type": "mert_model", "hidden_size'])
def test_a_broken_configuration_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(DataError, match=r"config\.json"):
        audio.build("mert", weights=folder)


def test_noncommercial_weights_warn_once(weights_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(audio, "_warned", set())
    monkeypatch.setattr(log, "warning", lambda text, *values: said.append(text % values))
    for name in ("mert", "mert", "clap"):
        audio.build(name, weights=weights_root / name)
    assert len([line for line in said if "NOT for commercial use" in line]) == 1


def test_layers_are_refused_where_there_are_none(weights_root: Path) -> None:
    with pytest.raises(UnisonoError, match="no layers to choose from"):
        audio.build("clap", weights=weights_root / "clap", layers="all")


def test_fetching_from_a_folder_copies_verifies_and_records(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path / "root"))
    found = fetch("mert", WEIGHTS, folder)
    assert found.weights == tmp_path / "root" / "mert" / "pytorch_model.bin"
    record = json.loads((found.weights.parent / "fetched.json").read_text())
    assert record["files"]["config.json"]["size"] == (folder / "config.json").stat().st_size
    assert audio.build("mert").spec.revision == record["revision"]

    found.weights.write_bytes(found.weights.read_bytes()[:-100])
    with pytest.raises(DataError, match="cut short or altered") as caught:
        audio.build("mert")
    assert caught.value.hint == "Fetch it again with: unisono encoders fetch mert"


def test_fetching_from_a_folder_that_lacks_a_file_names_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNISONO_WEIGHTS", str(folder.parent / "root"))
    (folder / "config.json").unlink()
    with pytest.raises(UnisonoError, match=r"lacks config\.json of m-a-p/MERT-v1-330M"):
        fetch("mert", WEIGHTS, folder)
    assert not (folder.parent / "root" / "mert").exists()


def test_fetching_other_files_than_the_published_ones_from_a_folder_is_refused(
    weights_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path))
    with pytest.raises(DataError, match=r"the published config\.json has 3,133: it is cut short, or of another model"):
        fetch("muq", audio.module("muq").WEIGHTS, weights_root / "muq")
    same_size = tmp_path / "same_size"
    same_size.mkdir()
    (same_size / "config.json").write_bytes(b"x" * 3_133)
    (same_size / "model.safetensors").write_bytes(b"x")
    with pytest.raises(DataError, match=r"config\.json is not the published config\.json: its sha256 is"):
        fetch("muq", audio.module("muq").WEIGHTS, same_size)


def test_a_failed_fetch_leaves_what_was_there(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path / "root"))
    fetch("mert", WEIGHTS, folder)
    (folder / "pytorch_model.bin").write_bytes(b"broken")
    with pytest.raises(DataError):
        fetch("mert", WEIGHTS, folder)
    audio.build("mert")
