"""Where the audio embeddings of a batch come from: stored ones, or an audio encoder that is tuned."""

import os
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from unisono.audio.decode import Excerpt
from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.audio.faults import Fault
from unisono.audio.open import Samples
from unisono.base.arguments import AnyPath, as_path
from unisono.base.cores import available_cores
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.log import log
from unisono.base.seeded import rank_key
from unisono.base.words import counted
from unisono.embeddings.audio_cache import CachedAudio, folder_of
from unisono.embeddings.encoders import audio as audio_encoders
from unisono.embeddings.encoders.tuned import TunedTower, TunedWeights
from unisono.embeddings.file import FILE_NAME, EmbeddingsFile, SplitRows, open_embeddings
from unisono.embeddings.prepare import settings
from unisono.embeddings.prepare.executors import Failed, local
from unisono.embeddings.prepare.executors._runner import layers_of
from unisono.embeddings.prepare.plan import WorkItem
from unisono.embeddings.prepare.run import prepare
from unisono.embeddings.waveforms import Waveforms
from unisono.retrieval.audio_rows import AudioRows
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.train import distributed
from unisono.retrieval.train.config import RunSettings, TrainingConfig
from unisono.retrieval.train.data import Batch, Sampler, SplitData, TrainingData
from unisono.tracks.files import read_tracks
from unisono.tracks.track import Track

AHEAD_BYTES = 256 << 20
MOST_BATCHES_AHEAD = 4
REPLACEMENTS = 20
"""How many excerpts are tried in place of one that cannot be read."""


class AudioSource(Protocol):
    """Where the audio embeddings come from."""

    skipped: dict[str, str]
    """Id -> why its audio could not be read."""

    def __call__(self, part: Batch) -> Tensor:
        """Return the audio embeddings [b, L, A] of a part of a batch."""
        ...

    def windows(self, part: Batch) -> Tensor:
        """Return the embeddings [b, W, L, A] of the windows that were drawn, whose mean `__call__` returns."""
        ...

    def ahead(self, batches: Iterable[Batch], step: int) -> Generator[Batch, None, None]:
        """Yield the batches, the first of which is that of `step`, with all that is needed to embed their audio."""
        ...

    def embed_all(self, data: SplitData) -> Tensor | AudioRows:
        """Return the embeddings [N, L, A] of a split as `prepare` makes them."""
        ...

    def stages(self) -> list[list[nn.Parameter]]:
        """Return what is trained in it, in groups from front to back."""
        ...

    def weights(self) -> TunedWeights | None:
        """Return a copy of what was trained in it."""
        ...

    def train(self, mode: bool) -> None:
        """Switch dropout on (True) or off (False)."""
        ...


class StoredAudio:
    """The embeddings that `prepare` made."""

    def __init__(self, data: SplitData) -> None:
        self.data = data
        self.skipped: dict[str, str] = {}

    def __call__(self, part: Batch) -> Tensor:
        """Return the audio embeddings [b, L, A] of a part of a batch."""
        if part.windows is not None and self.data.windows is not None:
            return self.data.windows.mean(part.windows)
        return self.data.audio[part.rows]

    def windows(self, part: Batch) -> Tensor:
        """Return the embeddings [b, W, L, A] of the windows that were drawn."""
        assert part.windows is not None and self.data.windows is not None
        found = self.data.windows.embeddings[part.windows.reshape(-1)]
        return found.reshape(*part.windows.shape, *found.shape[1:]).float()

    def ahead(self, batches: Iterable[Batch], step: int) -> Generator[Batch, None, None]:
        """Yield the batches as they are."""
        yield from batches

    def embed_all(self, data: SplitData) -> AudioRows:
        """Return the stored embeddings of a split."""
        return data.audio

    def stages(self) -> list[list[nn.Parameter]]:
        """Return nothing: nothing is trained in it."""
        return []

    def weights(self) -> None:
        """Return nothing: nothing is trained in it."""

    def train(self, mode: bool) -> None:
        """Do nothing: stored embeddings have no dropout."""


class _Read(NamedTuple):
    """The audio at one place of a batch."""

    row: int
    caption: int
    faults: list[tuple[int, Fault]]
    """Rows that could not be read, in the place of which this one was."""


class TunedAudio:
    """Audio that goes through its encoder at each step, since that is tuned; it is decoded ahead, in threads."""

    def __init__(
        self,
        tower: TunedTower,
        waveforms: Waveforms,
        ids: Sequence[str],
        sampler: Sampler,
        val_excerpts: list[Excerpt],
        device: torch.device,
        workers: int | None = None,
    ) -> None:
        """Prepare to read.

        Args:
            tower: the encoder.
            waveforms: of the excerpts of the train split.
            ids: of the same.
            sampler: draws what takes the place of an excerpt that cannot be read.
            val_excerpts: of the val split, as far as it is searched.
            device: where the encoder is.
            workers: threads that decode. Default: the number of cores.
        """
        self.tower = tower
        self.waveforms = waveforms
        self.skipped: dict[str, str] = {}
        self._ids = ids
        self._sampler = sampler
        self._device = device
        self._workers = workers or available_cores()
        self._executor: local.LocalExecutor | None = None
        self._val_excerpts = val_excerpts
        self._before: Tensor | None = None

    def __call__(self, part: Batch) -> Tensor:
        """Return the audio embeddings [b, L, A] of a part of a batch; differentiable."""
        assert part.waveforms is not None
        return self.tower.embed(part.waveforms.to(self._device, non_blocking=True))

    def windows(self, part: Batch) -> Tensor:
        """Return the embeddings [b, W, L, A] of the windows that were drawn; differentiable."""
        assert part.waveforms is not None
        return self.tower.embed_each(part.waveforms.to(self._device, non_blocking=True))

    def ahead(self, batches: Iterable[Batch], step: int) -> Generator[Batch, None, None]:
        """Yield the batches with their audio, which threads decode while the steps before are taken.

        An excerpt that cannot be read is replaced by another, so that batches stay full.

        Raises:
            UnisonoError: nothing can be read any more.
        """
        waiting: deque[tuple[Batch, slice, Tensor, list[Future[_Read]]]] = deque()
        with ThreadPoolExecutor(self._workers, "decode") as pool:
            try:
                for number, batch in enumerate(batches, step):
                    mine = distributed.mine(len(batch.rows))
                    shape = (mine.stop - mine.start, self.waveforms.count, self.waveforms.samples)
                    windows = torch.empty(shape, pin_memory=self._device.type == "cuda")
                    reading = [
                        pool.submit(self._read, batch, number, mine.start + place, into)
                        for place, into in enumerate(windows.numpy())
                    ]
                    waiting.append((batch, mine, windows, reading))
                    if len(waiting) > min(MOST_BATCHES_AHEAD, max(1, AHEAD_BYTES // windows.nbytes)):
                        yield self._filled(*waiting.popleft())
                while waiting:
                    yield self._filled(*waiting.popleft())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, batch: Batch, step: int, place: int, into: Samples) -> _Read:
        """Write the windows [W, samples] of a place of a batch."""
        row, caption = int(batch.rows[place]), int(batch.captions[place])
        faults: list[tuple[int, Fault]] = []
        for attempt in range(REPLACEMENTS):
            found = self.waveforms.draw(row, step)
            if not isinstance(found, Fault):
                into[:] = found
                return _Read(row, caption, faults)
            faults.append((row, found))
            row, caption = self._sampler.another(step, place, attempt)
        row, fault = faults[-1]
        raise AudioGoneError(
            f"The audio of {REPLACEMENTS} excerpts in turn could not be read; the last is {self._ids[row]} "
            f"({_in_words(fault, self.waveforms.excerpts[row].path)}).",
            hint="When the audio is back, run the same command again: it continues.",
        )

    def _filled(self, batch: Batch, mine: slice, windows: Tensor, reading: "list[Future[_Read]]") -> Batch:
        read = [each.result() for each in reading]
        for row, fault in (each for one in read for each in one.faults):
            if self._ids[row] not in self.skipped:
                self._note(self._ids[row], fault, self.waveforms.excerpts[row].path)
        drawn = torch.tensor([[each.row, each.caption] for each in read])
        if distributed.world_size() > 1:  # others may have replaced some of theirs
            drawn = distributed.gather(drawn.to(self._device)).cpu()
        rows, captions = drawn.numpy().T
        false = None if batch.false is None else np.where(captions == batch.captions, batch.false, -1)
        return replace(batch, rows=rows, captions=captions, false=false, waveforms=windows, waveforms_begin=mine.start)

    def _note(self, id: str, fault: Fault, path: str) -> None:
        reason = _in_words(fault, path)
        log.warning("%s is skipped: %s.", id, reason)
        self.skipped[id] = reason

    def embed_all(self, data: SplitData) -> Tensor:
        """Return the embeddings [N, L, A] of the val split as `prepare` makes them, rounded as it rounds them.

        An excerpt that cannot be read any more keeps the embedding that it had before.
        """
        mine = range(distributed.rank(), len(data), distributed.world_size())
        name = self.tower.encoder.spec.name
        items = [WorkItem(row.to_bytes(16, "big"), self._val_excerpts[row], (name,)) for row in mine]
        found = torch.zeros(data.audio.shape, dtype=torch.float16)
        if self._executor is None:
            self._executor = local.around(self.tower.encoder, str(self._device), self._workers)
        with hide_decoder_messages(), closing(self._executor.outcomes(items)) as results:
            for result in results:
                row = int.from_bytes(result.key, "big")
                if isinstance(result, Failed):
                    self._note(data.rows.ids[row], result.fault, self._val_excerpts[row].path)
                    embedding = (data.audio[row : row + 1] if self._before is None else self._before[row : row + 1])[0]
                else:
                    embedding = torch.from_numpy(result.embedding)
                found[row] = embedding.reshape(found[row].shape)
        self._before = distributed.total(found, self._device)
        return self._before

    def stages(self) -> list[list[nn.Parameter]]:
        """Return what is trained in it, in groups from front to back."""
        return self.tower.stages

    def weights(self) -> TunedWeights:
        """Return a copy of what was trained in it."""
        return self.tower.weights()

    def train(self, mode: bool) -> None:
        """Switch the dropout of adapters on or off."""
        self.tower.train(mode)


class AudioGoneError(UnisonoError):
    """So much of the audio cannot be read that the training cannot go on."""


def excerpts_of(rows: SplitRows, tracks: Mapping[str, Track] | None = None) -> list[Excerpt]:
    """Return where the audio of the rows of a split is.

    Args:
        rows: of `embeddings.h5`, which says where it was when it was embedded.
        tracks: id -> track, of a unified file that says where it is now.

    Raises:
        UsageError: a row is not in the unified file.
    """
    if tracks is None:
        paths = rows.texts["audio_path"]
        return [Excerpt(*each) for each in zip(paths, rows.start_s.tolist(), rows.duration_s.tolist(), strict=True)]
    missing = [id for id in rows.ids if id not in tracks]
    if missing:
        raise UsageError(
            f"dataset_file has {len(missing):,} of the {len(rows.ids):,} excerpts of the {rows.split} split not in it; "
            f"the first is {missing[0]}.",
            hint="Name the unified file that the embeddings were prepared from.",
            parameter="dataset_file",
        )
    found = [tracks[id] for id in rows.ids]
    return [Excerpt(track.audio_path, track.start, track.duration) for track in found]


def _in_words(fault: Fault, path: str) -> str:
    detail = f" ({fault.detail})" if fault.detail and fault.detail != path else ""
    return f"{fault.reason}{detail}: {path}"


def tuned_audio(
    config: TrainingConfig,
    how: RunSettings,
    device: torch.device,
    data: TrainingData,
    sampler: Sampler,
    begun: Checkpoint | None,
) -> TunedAudio:
    """Build the audio encoder that is tuned, with the weights that a checkpoint holds, and find its audio.

    Raises:
        UsageError: it cannot be tuned, or the embeddings or the cached audio are not of it.
        DataError: the weights of the checkpoint are of another encoder.
    """
    assert config.tune_audio
    record = data.encoder
    encoder = audio_encoders.build(record.name, str(device), layers=layers_of(record.hidden_states))
    differ = settings.record_differences(
        asdict(record), settings.encoder_record(encoder.spec, "mean", record.hidden_states)
    )
    if differ:
        raise UsageError(
            f"{data.where}: its {record.name} embeddings are not those of the encoder that is to be tuned:\n  "
            + "\n  ".join(differ),
            hint=f"Prepare them, in a folder of their own: unisono prepare --encoders {record.name} --output-dir ...",
        )
    torch.manual_seed(rank_key(config.seed, "audio adapters"))
    tower = TunedTower(
        encoder, config.tune_audio, rank=config.lora_rank, dropout=config.lora_dropout, frozen=config.frozen_front
    )
    if not any(tower.stages):
        raise UsageError(
            f"frozen_front {config.frozen_front} leaves nothing of {record.name} to tune, which has {len(tower.stages)} "
            "stages.",
            parameter="frozen_front",
        )
    if config.maxsim and tower.reads_sequences:
        raise UsageError(
            f"{record.name} embeds an excerpt as a sequence, not as the mean of its windows: tune it without maxsim.",
            parameter="maxsim",
        )
    if begun and begun.tower:
        tower.load(begun.tower)
    if how.gradient_checkpointing:
        tower.keep_few_activations()
    tracks = {track.id: track for track in read_tracks(how.dataset_file)} if how.dataset_file else None
    cache, keys = _cached(data, encoder.spec.rate_hz) if config.cached_audio else (None, [])
    log.info(
        "Tuning %s: %s parameters in %d of its %d stages.",
        record.name,
        f"{sum(each.numel() for stage in tower.stages for each in stage):,}",
        sum(map(bool, tower.stages)),
        len(tower.stages),
    )
    waveforms = Waveforms(
        excerpts_of(data.train.rows, tracks), encoder.spec, config.audio_windows or 1, config.seed, cache, keys
    )
    val = excerpts_of(data.val.rows, tracks)
    return TunedAudio(tower, waveforms, data.train.rows.ids, sampler, val, device, how.workers)


def _cached(data: TrainingData, rate_hz: int) -> tuple[CachedAudio, list[bytes]]:
    """Find the decoded audio of the train split.

    Raises:
        UsageError: it is not there, or not of all excerpts.
    """
    keys: list[bytes] = []
    for path in data.paths:
        with open_embeddings(path) as file:
            keys += file.excerpts("train")
    cache = CachedAudio(*(folder_of(path.parent, rate_hz) for path in data.paths))
    ids = data.train.rows.ids
    lacking = cache.lacks(keys) if len(keys) == len(ids) else list(range(len(ids)))
    if lacking:
        raise UsageError(
            f"{' and '.join(map(str, cache.folders))} lacks the decoded audio of {len(lacking):,} of the {len(ids):,} "
            f"excerpts of the train split, or holds it of files that have changed since; the first is {ids[lacking[0]]}.",
            hint="Decode it: unisono prepare "
            f"--encoders {data.encoder.name} --cache-audio --output-dir {data.paths[0].parent}",
            parameter="cached_audio",
        )
    return cache, keys


def prepare_start(named: Sequence[EmbeddingsFile | AnyPath], encoder: str, how: RunSettings) -> None:
    """Embed the music of `dataset_file` with the encoder as it is before it is tuned, unless that was done before.

    These embeddings fix the splits, what can be read, and the scaling of the heads.

    Args:
        named: where the embeddings are, or will be.
        encoder: name of the encoder.
        how: of the training.

    Raises:
        UsageError: several processes would wait for it.
    """
    place = named[0]
    if len(named) > 1 or isinstance(place, EmbeddingsFile):
        return
    path = as_path(place)
    folder = path if path.is_dir() or not path.suffix else path.parent
    if (folder / FILE_NAME).is_file():
        with open_embeddings(folder) as file:
            if encoder in file:
                return
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            f"{folder} holds no {encoder} embeddings yet, which a training on several processes begins with.",
            hint=f"Prepare them: unisono prepare --dataset-file {how.dataset_file} --encoders {encoder} "
            f"--output-dir {folder}",
        )
    assert how.dataset_file
    log.info("Embedding the music of %s with %s before it is tuned.", how.dataset_file, encoder)
    devices = () if how.device == "auto" else (how.device,)
    prepare(how.dataset_file, output_dir=folder, encoders=(encoder,), devices=devices, workers=how.workers)


def doubts_of_skipped(skipped: Mapping[str, str]) -> list[str]:
    """Return in a sentence what could not be read in a training, if anything could not."""
    if not skipped:
        return []
    first, reason = next(iter(skipped.items()))
    return [
        f"The audio of {counted(len(skipped), 'excerpt')} could not be read in the training; the first is {first}: {reason}."
    ]
