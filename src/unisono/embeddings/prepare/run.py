"""prepare: a unified file in, `embeddings.h5` out.

plan       which excerpts there are, and which of their embeddings are missing       plan.py
embed      decode, embed, pool; results go into small shards                         executors/, embed.py, sink.py
assemble   shards, and the rows of an earlier file -> embeddings.h5, in one go       assemble.py
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from unisono.audio.faults import Fault
from unisono.base.arguments import AnyPath, AtLeastTwo, Count, Seconds, as_path, checked
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.extras import require
from unisono.base.log import log
from unisono.base.path_map import PathMap
from unisono.base.tally import Dropped, Tally
from unisono.curation.filters import by_duration
from unisono.curation.sampling import sample
from unisono.embeddings.audio_cache import cache_audio, folder_of
from unisono.embeddings.encoders import audio
from unisono.embeddings.file import FILE_NAME, EmbeddingsFile, EncoderRecord, open_embeddings
from unisono.embeddings.prepare import executors, settings
from unisono.embeddings.prepare.assemble import assemble, by_split, fingerprint, is_assembled
from unisono.embeddings.prepare.contents import Contents
from unisono.embeddings.prepare.datasets import unified
from unisono.embeddings.prepare.embed import embed
from unisono.embeddings.prepare.executors import Job
from unisono.embeddings.prepare.parts import SHARDS, Part, enter_output, name_of, refuse_missing
from unisono.embeddings.prepare.plan import EmbeddingPlan, plan
from unisono.embeddings.prepare.pooling import Pooling
from unisono.embeddings.prepare.report import PrepareReport, count_datasets
from unisono.embeddings.prepare.settings import ContentSettings, TrackChoice
from unisono.embeddings.prepare.sink import EncoderShards, Failures
from unisono.tracks.files import read_tracks
from unisono.tracks.track import SPLITS, Split, Track

REPORT = "prepare.report.json"
LOG = "prepare.log"
NEEDED = ("h5py", "safetensors", "soxr", "torch", "transformers")
"""Packages that a run needs, some of them only at its end: all are looked for before it begins."""
DEFAULT_ENCODERS = ("muq", "mert", "latent")


@checked
def prepare(
    dataset_file: AnyPath | None = None,
    *,
    output_dir: AnyPath,
    datasets: Sequence[str] = (),
    data_root: AnyPath = "data",
    encoders: Sequence[str] = DEFAULT_ENCODERS,
    layers: Sequence[str] = (),
    sample_size: Count | None = None,
    min_duration: Seconds | None = None,
    max_duration: Seconds | None = None,
    batch_size: Count | None = None,
    pooling: Pooling = "mean",
    keep_windows: bool = False,
    windows_per_track: AtLeastTwo | None = None,
    split_by: Literal["upstream", "seed"] = "upstream",
    seed: int = 42,
    devices: Sequence[str] = (),
    workers: Count | None = None,
    executor: str = executors.DEFAULT,
    ray_address: str | None = None,
    path_map: Sequence[str] = (),
    strict: bool = False,
    prune: bool = False,
    shard: str | None = None,
    assemble: bool = False,
    cache_audio: bool = False,
    recorded_options: Mapping[str, Any] | None = None,
) -> PrepareReport:
    """Embed the tracks of a unified file into `embeddings.h5`; embeddings that are there already are not computed again.

    Args:
        dataset_file: the unified file.
        output_dir: folder for `embeddings.h5`.
        datasets: instead of a unified file: datasets under `<data_root>/raw`, unified first, into the output folder.
        data_root: folder of the data, for `datasets`.
        encoders: names of audio encoders.
        layers: `mert=7`, `mert=all`, `muq=mean`: another layer than an encoder's last one.
        sample_size: how many tracks, drawn by seed; None: all.
        min_duration: shortest excerpt in seconds.
        max_duration: longest excerpt in seconds.
        batch_size: windows embedded at a time on a GPU; None: found by trying.
        pooling: how the windows of an excerpt become one embedding.
        keep_windows: store the embedding of every window as well.
        windows_per_track: store this number of windows of each track, evenly spread.
        split_by: keep the splits of the file and draw the rest by seed, or draw all.
        seed: of the sample and the splits.
        devices: `cpu`, `cuda:0`, ...; by default all GPUs, or each core.
        workers: threads that decode; None: as many as cores.
        executor: what runs the work: `local`, `ray`.
        ray_address: of the cluster, for the executor `ray`, such as `ray://head:10001`; None: an instance on this machine.
        path_map: `FROM=TO`: audio whose path begins with FROM is read from TO, such as `s3://bucket`.
        strict: fail if a track cannot be embedded.
        prune: remove from `embeddings.h5` the tracks that are not among those chosen now; else they are an error.
        shard: embed one part of the tracks, such as `3/16`, and leave `embeddings.h5` to a later run; see `docs/cluster.md`.
        assemble: embed nothing; write `embeddings.h5` of what the shards made.
        cache_audio: keep the decoded audio as well, for a training that tunes an encoder.
        recorded_options: what the report stores as options; None: the arguments.

    Raises:
        UsageError: the arguments contradict each other, or the files in the output folder.
        MissingExtraError: a package is not installed.
        UnisonoError: weights or audio are not there, the disk is full, or `strict` found faults.
    """
    arguments = {name: _plain(value) for name, value in locals().items() if name != "recorded_options"}
    require("embed", "prepare", NEEDED)
    encoders, layers, tuned_in = settings.named(encoders, layers)
    _check_arguments(encoders, min_duration, max_duration, executor, ray_address)
    if shard and (assemble or datasets):
        raise UsageError(
            "shard excludes assemble and datasets.", hint="Make the unified file first, then embed its shards."
        )
    folder, kept = as_path(output_dir), _kept(keep_windows, windows_per_track)
    run = _Preparation(
        source=_source(dataset_file, datasets, folder, as_path(data_root), seed, workers, strict=strict),
        folder=folder,
        content=ContentSettings(pooling=pooling, keep_windows=kept, split_by=split_by, seed=seed),
        choice=TrackChoice(
            sample_size=sample_size, min_duration=_float(min_duration), max_duration=_float(max_duration)
        ),
        job=Job(
            tuned=tuned_in,
            pooling=pooling,
            keep_windows=kept,
            devices=devices,
            batch_size=batch_size,
            workers=workers,
            path_map=PathMap(path_map),
            ray_address=ray_address,
        ),
        executor=executor,
        part=Part.parse(shard) if shard else None,
        assemble_only=assemble,
        cache_audio=cache_audio,
    )
    given = arguments if recorded_options is None else recorded_options
    return run(encoders, layers, given, strict=strict, prune=prune)


def _kept(keep_windows: bool, windows_per_track: int | None) -> bool | int:
    if keep_windows and windows_per_track:
        raise UsageError("windows_per_track keeps some windows, keep_windows keeps all: choose one.")
    return windows_per_track or keep_windows


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _plain(value: Any) -> Any:
    """Return an argument as a JSON value."""
    if isinstance(value, Path):
        return str(value)
    return value if value is None or isinstance(value, (str, int, float)) else list(value)


def _check_arguments(
    names: Sequence[str], low: float | None, high: float | None, executor: str, ray_address: str | None
) -> None:
    if low is not None and high is not None and low > high:
        raise UsageError(
            f"min_duration {low:g} is above the maximum of {high:g}: no track can be both.", parameter="min_duration"
        )
    if not names:
        raise UsageError(
            "encoders names no encoder.", hint="Known encoders: " + ", ".join(audio.names()), parameter="encoders"
        )
    for name in names:
        audio.spec(name)
    executors.check(executor)
    if ray_address and executor != "ray":
        raise UsageError("ray_address is for the executor ray.", hint="Add: --executor ray", parameter="ray_address")


def _source(
    dataset_file: AnyPath | None,
    datasets: Sequence[str],
    folder: Path,
    data_root: Path,
    seed: int,
    workers: int | None,
    *,
    strict: bool,
) -> Path:
    """Return the unified file to read; make it, where datasets are asked for."""
    if (dataset_file is None) == (not datasets):
        raise UsageError("Expected either a unified file or datasets to unify.")
    if dataset_file is not None:
        return as_path(dataset_file)
    return unified(datasets, folder, data_root=data_root, seed=seed, workers=workers, strict=strict)


@dataclass(frozen=True, kw_only=True)
class _Preparation:
    """One run of `prepare`."""

    source: Path
    folder: Path
    content: ContentSettings
    choice: TrackChoice
    job: Job
    executor: str
    part: Part | None = None
    assemble_only: bool = False
    cache_audio: bool = False
    tally: Tally = field(default_factory=Tally)

    def __call__(
        self, names: Iterable[str], layers: Iterable[str], given: Mapping[str, Any], *, strict: bool, prune: bool
    ) -> PrepareReport:
        tracks = read_tracks(self.source)
        with ExitStack() as stack:
            enter_output(self.folder, self.part, LOG, stack)
            log.info("Preparing %s tracks of %s", f"{len(tracks):,}", self.source)
            chosen = self.choose(tracks)
            there = self.open_assembled(stack)
            shards = {
                name: EncoderShards(self.folder / SHARDS / name, there)
                for name in sorted({*names, *(there.encoders if there else ())})
            }
            failures = Failures(self.folder / SHARDS / "failures", there)
            contents = Contents(self.folder / SHARDS / "contents", there, self.job.path_map)
            states = settings.hidden_states(layers, shards)
            settings.check_shards(shards, self.content, states, self.folder)
            settings.check_tuned(shards, names, self.job.tuned, self.folder)
            look = partial(executors.statuses, self.executor, self.job)
            chosen, work = self.of_part(chosen, plan(chosen, look))
            pruned = 0 if self.part else _refuse_to_lose(there, work, prune=prune)
            same = _recognise_moved(work, shards, contents)
            faults = self.embed_missing(work, shards, failures, contents, states)
            embedded = self.without_faults(chosen, work, faults)
            self.write_report(given, sorted(shards), embedded, strict=strict)
            splits = by_split(embedded, self.content)
            records = [_record_of(its_shards) for its_shards in shards.values() if its_shards.settings()]
            written = False
            if not self.part:
                written = self.write(splits, work, contents, shards, records, faults, there)
                _remove_what_is_stored(self.folder, shards, failures, contents, set(same.values()))
            if self.cache_audio:
                self.decode(names, {work.key_of[track.id] for track in embedded}, work)
        return PrepareReport(
            path=self.folder / FILE_NAME,
            report_path=self.folder / name_of(REPORT, self.part),
            counts={split: len(its_tracks) for split, its_tracks in splits.items()},
            datasets=count_datasets(self.tally, embedded),
            encoders=records,
            written=written,
            pruned=pruned,
            recognised=len(same),
            shard=str(self.part or ""),
            tally=self.tally,
        )

    @property
    def config(self) -> dict[str, Any]:
        """What `embeddings.h5` stores of the settings: what decides its content, not how it was computed."""
        return {**asdict(self.content), **asdict(self.choice), "dataset_file": self.source.name}

    def choose(self, tracks: list[Track]) -> list[Track]:
        """Filter and sample; note in the tally what is left out."""
        for track in tracks:
            self.tally.came[track.dataset] += 1
        dataset_of = {track.id: track.dataset for track in tracks}
        kept, dropped = by_duration(tracks, self.choice.min_duration, self.choice.max_duration)
        drawn = sample(kept, seed=self.content.seed, max_samples=self.choice.sample_size)
        if len(drawn) < len(kept):
            ids = {track.id for track in drawn}
            dropped += [
                Dropped(id=track.id, reason="not in the sample", fault=False) for track in kept if track.id not in ids
            ]
        for item in dropped:
            self.tally.drop(dataset_of[item.id], item)
        if not drawn:
            raise UsageError(f"No track of {self.source} is left{_reasons(self.tally)}.")
        return drawn

    def of_part(self, tracks: list[Track], work: EmbeddingPlan) -> tuple[list[Track], EmbeddingPlan]:
        """Return the tracks and excerpts of the part that this run embeds; of files that are not there, all."""
        if not self.part:
            return tracks, work
        mine = []
        for track in tracks:
            if track.id in work.faults or self.part.holds(work.key_of[track.id]):
                mine.append(track)
            else:
                self.tally.drop(track.dataset, Dropped(id=track.id, reason="in another shard", fault=False))
        return mine, replace(work, excerpts={key: its for key, its in work.excerpts.items() if self.part.holds(key)})

    def open_assembled(self, stack: ExitStack) -> EmbeddingsFile | None:
        """Open the `embeddings.h5` in the folder, if there is one: its encoders stay, its settings must be the same."""
        path = self.folder / FILE_NAME
        if not path.is_file():
            return None
        file = stack.enter_context(open_embeddings(path))
        found = settings.differences(file.config, self.config, asdict(self.content))
        if found:
            raise settings.refusal(path, found)
        return file

    def embed_missing(
        self,
        work: EmbeddingPlan,
        shards: dict[str, EncoderShards],
        failures: Failures,
        contents: Contents,
        states: Mapping[str, str],
    ) -> dict[bytes, Fault]:
        """Embed what is missing; return key -> fault of all excerpts that cannot be embedded."""
        held = {name: its_shards.held() for name, its_shards in shards.items()}
        items = work.missing(held, failures.known.keys())
        if self.assemble_only:
            refuse_missing(self.folder, [item.key for item in items])
        if not work.excerpts and work.faults:
            first = next(iter(work.faults.values()))
            raise UnisonoError(
                f"None of the {len(work.faults):,} audio files is there; the first is {first.detail}.",
                hint="Bring the audio folder back, or make the unified file again with: unisono unify",
            )
        passing: dict[bytes, Fault] = {}
        if items:
            log.info(
                "%s embeddings are there already, %s are missing.",
                f"{sum(len(keys & work.excerpts.keys()) for keys in held.values()):,}",
                f"{sum(len(item.encoders) for item in items):,}",
            )
            needed = sorted({name for item in items for name in item.encoders})
            executor = executors.build(
                self.executor, replace(self.job, encoders={name: states[name] for name in needed})
            )
            for name, spec in executor.specs.items():
                record = settings.encoder_record(spec, self.content.pooling, states[name])
                settings.check_built(shards[name], record, self.folder, keep_windows=self.content.keep_windows)
            passing = embed(items, executor, shards, failures, contents, self.job.path_map)
        return {key: fault for key, fault in {**failures.known, **passing}.items() if key in work.excerpts}

    def decode(self, names: Iterable[str], keys: Set[bytes], work: EmbeddingPlan) -> None:
        """Keep the decoded audio of excerpts, at the rates of the encoders."""
        excerpts = {
            key: excerpt._replace(path=self.job.path_map(excerpt.path))
            for key, excerpt in work.excerpts.items()
            if key in keys
        }
        for rate_hz in sorted({audio.spec(name).rate_hz for name in names}):
            log.info("Decoding to %s", folder_of(self.folder, rate_hz))
            for key, fault in cache_audio(self.folder, rate_hz, excerpts, self.job.workers).items():
                log.warning("%s is not kept: %s.", excerpts[key].path, fault.reason)

    def without_faults(self, tracks: list[Track], work: EmbeddingPlan, faults: Mapping[bytes, Fault]) -> list[Track]:
        """Leave out the tracks that could not be embedded; note them in the tally."""
        kept = []
        for track in tracks:
            fault = work.faults.get(track.id) or faults.get(work.key_of[track.id])
            if fault is None:
                kept.append(track)
                self.tally.kept[track.dataset] += 1
            else:
                detail = f"{track.audio_path}: {fault.detail}" if fault.detail != track.audio_path else fault.detail
                self.tally.drop(track.dataset, Dropped(id=track.id, reason=fault.reason, detail=detail))
        return kept

    def write_report(
        self, given: Mapping[str, Any], names: Sequence[str], embedded: Sequence[Track], *, strict: bool
    ) -> None:
        """Write the report; fail if nothing was embedded, or with `strict` if anything was not."""
        report = self.folder / name_of(REPORT, self.part)
        self.tally.write(report, options=given, encoders=names)
        if strict:
            self.tally.refuse_faults(report)
        if not embedded and not self.part:  # a part may be empty
            raise UnisonoError(f"No track could be embedded{_reasons(self.tally)}; see {report}.")

    def write(
        self,
        splits: dict[Split, list[Track]],
        work: EmbeddingPlan,
        contents: Contents,
        shards: dict[str, EncoderShards],
        records: list[EncoderRecord],
        faults: Mapping[bytes, Fault],
        there: EmbeddingsFile | None,
    ) -> bool:
        """Write `embeddings.h5`, unless its content is there already; return whether it was written."""
        config = self.config
        config["content"] = fingerprint(splits, work.key_of, records, config, self.tally.faults)
        path = self.folder / FILE_NAME
        if is_assembled(there, config["content"]):
            log.info("Nothing to do: %s is complete.", path)
            return False
        log.info("Writing %s", path)
        lasting = {key: fault for key, fault in faults.items() if fault.lasting}
        keys = {work.key_of[track.id] for its_tracks in splits.values() for track in its_tracks}
        contents.add({key: work.excerpts[key] for key in keys})  # those of files of earlier versions
        known = contents.known
        assemble(self.folder, splits, work.key_of, known, shards, records, config, self.tally.faults, lasting)
        return True


def _reasons(tally: Tally) -> str:
    counted = ", ".join(f"{count:,} {reason}" for reason, count in tally.reasons().most_common(5))
    return f" ({counted})" if counted else ""


def _record_of(shards: EncoderShards) -> EncoderRecord:
    content = dict(shards.settings() or {})
    content.pop("keep_windows", None)
    return EncoderRecord(**content)


def _recognise_moved(
    work: EmbeddingPlan, shards: Mapping[str, EncoderShards], contents: Contents
) -> dict[bytes, bytes]:
    """Let the embeddings of files that were moved, renamed or touched count as those of the files that are there now."""
    held = {key for its_shards in shards.values() for key in its_shards.held()}
    same = contents.moved(work.excerpts, held)
    if same:
        log.info("%s excerpts were recognised by their content: their files were moved or touched.", f"{len(same):,}")
    for its_shards in shards.values():
        its_shards.same = same
    return same


def _remove_what_is_stored(
    folder: Path,
    shards: Mapping[str, EncoderShards],
    failures: Failures,
    contents: Contents,
    superseded: set[bytes],
) -> None:
    """Remove the shards whose content `embeddings.h5` now holds; those of tracks that were not chosen now stay."""
    with open_embeddings(folder) as file:
        keys = {key for split in SPLITS for key in file.excerpts(split)} | superseded
        failed = {bytes.fromhex(key) for key, _, _ in file.faults()}
    for its_shards in shards.values():
        its_shards.remove_stored(keys)
    contents.remove_stored(keys)
    failures.remove_stored(failed)
    with suppress(OSError):  # some are left
        (folder / SHARDS).rmdir()


def _refuse_to_lose(there: EmbeddingsFile | None, work: EmbeddingPlan, *, prune: bool) -> int:
    """Refuse to write an `embeddings.h5` that lacks tracks which the present one holds, unless they are to be pruned.

    A track that is chosen, but whose file is missing, is never pruned: the audio folder may be away.

    Returns:
        The number of tracks that are pruned.
    """
    lost = sorted(id_ for id_ in there.ids if id_ not in work.key_of) if there else []
    unreadable = [id_ for id_ in lost if id_ in work.faults]
    refused = unreadable or ([] if prune else lost)
    if there and refused:
        fault = work.faults.get(refused[0])
        hint = "Choose the same tracks and more, or another --output-dir. To remove them from the file: --prune."
        if unreadable:
            hint = "Bring the audio back, or make the unified file again without these tracks and use --prune."
        raise UsageError(
            f"{there.path} holds {len(refused):,} tracks that would be lost; the first is {refused[0]} "
            f"({fault.reason if fault else 'not among the tracks chosen now'}).",
            hint=hint,
        )
    if lost:
        log.info("Removing %s tracks that are not among those chosen now; the first is %s.", f"{len(lost):,}", lost[0])
    return len(lost)
