"""What every dataset must keep to. A dataset takes part by having a module, and a builder in tests/releases."""

import builtins
import importlib
import inspect
import io
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from unisono.base.errors import UsageError
from unisono.base.tally import Dropped
from unisono.captions.ways.template import caption
from unisono.sources import registry as datasets
from unisono.sources.base import Dataset, HubFiles
from unisono.sources.download import plan
from unisono.tracks.licenses import normalise
from unisono.tracks.track import CAPTION_ORIGINS, SPLITS, Track

AUDIO = (".mp3", ".wav", ".flac", ".ogg")
CARD_HEADINGS = ("What:", "Captions:", "Licences:", "Splits:", "Source:", "Known defects:")


@pytest.fixture(params=datasets.names())
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return datasets.get(request.param)


@pytest.fixture
def release(dataset: Dataset) -> ModuleType:
    return importlib.import_module(f"tests.releases.{dataset.name}")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[ModuleType], Path]:
    """Build each release once; the tests work on copies."""

    @cache
    def build(release: ModuleType) -> Path:
        folder = tmp_path_factory.mktemp(release.__name__)
        release.build(folder)
        return folder

    return build


@pytest.fixture
def root(release: ModuleType, dataset: Dataset, built: Callable[[ModuleType], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(built(release), tmp_path / "raw" / dataset.name))


def parse(dataset: Dataset, root: Path, **options: Any) -> list[Track | Dropped]:
    return list(dataset.records(root, options))


def tracks(items: list[Track | Dropped]) -> list[Track]:
    return [item for item in items if isinstance(item, Track)]


def module_of(dataset: Dataset) -> ModuleType:
    return sys.modules[dataset.parse.__module__]


def test_the_data_card_is_complete(dataset: Dataset) -> None:
    card = module_of(dataset).__doc__ or ""
    positions = [card.find(heading) for heading in CARD_HEADINGS]
    assert -1 not in positions, f"missing: {CARD_HEADINGS[positions.index(-1)]}"
    assert positions == sorted(positions)
    assert dataset.homepage in card
    assert dataset.homepage.startswith("https://")
    assert dataset.title and dataset.caption_license and dataset.audio_license and dataset.tracks > 0
    assert set(dataset.captions) <= set(CAPTION_ORIGINS)
    assert dataset.marker_files


def test_the_file_is_in_the_fixed_order(dataset: Dataset) -> None:
    names = [f"{name} = " for name in ("FILES", "OPTIONS", "CHOICES") if getattr(dataset, name.lower())]
    source = inspect.getsource(module_of(dataset))
    order = re.findall(r"^(?:FILES = |OPTIONS = |CHOICES = |def parse\(|DATASET = )", source, re.MULTILINE)
    assert order == [*names, "def parse(", "DATASET = "]


def test_its_own_options_are_checked(dataset: Dataset) -> None:
    for options in (dataset.options, dataset.choices):
        names = [option.name for option in options]
        assert len(set(names)) == len(names)
        for option in options:
            assert option.name.isidentifier() and option.help.endswith(".")
            values = option.default if option.several else (option.default,)
            assert isinstance(values, tuple)
            assert not option.values or set(values) <= set(option.values)
            for wrong in ("no such value", -1, 2.5):
                with pytest.raises(UsageError, match=f"^{option.name} must be .*found"):
                    dataset.complete(options, {option.name: wrong})
        with pytest.raises(UsageError, match=f"{dataset.name} has no option 'nonsense'"):
            dataset.complete(options, {"nonsense": 1})
        assert dataset.complete(options, {}) == {option.name: option.default for option in options}


def test_each_choice_selects_files(dataset: Dataset) -> None:
    for option in dataset.choices:
        chosen = {tuple(plan.chosen(dataset, {option.name: value})) for value in option.values}
        limited = any(isinstance(file, HubFiles) and file.limit == option.name for file in dataset.files)
        assert limited if not option.values else len(chosen) == len(option.values)


def test_it_is_recognised_on_disk(dataset: Dataset, root: Path, tmp_path: Path) -> None:
    assert dataset.is_in(root)
    (tmp_path / "empty").mkdir()
    assert not dataset.is_in(tmp_path / "empty")


def test_drafts_are_valid(dataset: Dataset, root: Path) -> None:
    found = tracks(parse(dataset, root))
    assert found
    for track in found:
        assert re.fullmatch(rf"{dataset.name}_\S(.*\S)?", track.id, re.DOTALL)
        assert track.dataset == dataset.name
        assert track.audio_path and not Path(track.audio_path).is_absolute()
        assert 0 <= track.duration < float("inf")
        assert 0 <= track.start < float("inf")
        assert track.split in (None, *SPLITS)
        assert all(text.strip() for text in track.texts)
        assert len(set(track.texts)) == len(track.texts)
        assert all(caption.origin in CAPTION_ORIGINS for caption in track.captions)
        assert not track.recording or re.fullmatch(r"[a-z]+:\S+", track.recording)
        assert not track.artist_id or re.fullmatch(r"[a-z]+-artist:\S+", track.artist_id)
        assert track.genre not in track.tags
        assert track.artist not in track.tags or not track.artist
        assert normalise(normalise(track.license)) == normalise(track.license)
        if not track.caption and (made := caption(track.genre, track.tags)):
            assert not re.search(r"[\[\](){}]|\bnan\b|\bunknown\b", made, re.IGNORECASE)


def test_what_is_promised_of_the_release_is_there(dataset: Dataset, release: ModuleType, root: Path) -> None:
    items = parse(dataset, root)
    ids = [track.id for track in tracks(items)]
    assert sorted(ids) == sorted([*release.GOOD, *release.BAD_AUDIO])
    assert Counter(item.reason for item in items if isinstance(item, Dropped)) == Counter(release.DROPPED)


def test_ids_are_unique_and_reparsing_is_identical(dataset: Dataset, root: Path) -> None:
    items = parse(dataset, root)
    ids = [track.id for track in tracks(items)]
    assert len(set(ids)) == len(ids)
    assert parse(dataset, root) == items


def test_nothing_depends_on_where_the_release_is(dataset: Dataset, root: Path, tmp_path: Path) -> None:
    items = parse(dataset, root)
    shutil.move(root, tmp_path / "élsewhere with blanks")
    assert parse(dataset, tmp_path / "élsewhere with blanks") == items


def test_nothing_depends_on_the_order_of_listings(
    dataset: Dataset, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = parse(dataset, root)
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(sorted(glob(self, pattern), reverse=True)))
    assert parse(dataset, root) == items


def test_the_parser_touches_no_audio(dataset: Dataset, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = parse(dataset, root)
    opened: list[str] = []
    real_open = builtins.open

    def watched(file: Any, *args: Any, **options: Any) -> Any:
        opened.append(str(file))
        return real_open(file, *args, **options)

    monkeypatch.setattr(builtins, "open", watched)
    monkeypatch.setattr(io, "open", watched)
    parse(dataset, root)
    assert opened
    assert not [path for path in opened if path.endswith(AUDIO)]
    monkeypatch.undo()
    for path in [path for path in root.rglob("*") if path.suffix in AUDIO]:
        path.unlink()
    assert parse(dataset, root) == items


def test_good_tracks_have_their_audio_where_the_dataset_says(dataset: Dataset, release: ModuleType, root: Path) -> None:
    for track in tracks(parse(dataset, root)):
        if track.id not in release.GOOD:
            continue
        names = [track.audio_path, *(dataset.audio_names(track) if dataset.audio_names else [])]
        assert any(_is_there(root, folder, name) for folder in dataset.audio_folders for name in names), track.id


def _is_there(root: Path, folder: str, name: str) -> bool:
    if folder.endswith("**"):
        return any(path.name == Path(name).name for path in (root / folder.removesuffix("**")).rglob("*"))
    return (root / folder / name).is_file()


def test_importing_datasets_stays_light() -> None:
    import subprocess
    import sys

    code = (
        "import sys\nfrom unisono.sources import registry as datasets\n[datasets.get(name) for name in datasets.names()]\n"
        "heavy = {'torch', 'pyarrow', 'soundfile', 'h5py', 'numpy'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
