"""Training on several `embeddings.h5`: what they must agree on, and what they must not share."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from unisono.base.errors import DataError, UsageError
from unisono.base.log import log
from unisono.embeddings.file import EmbeddingsFile, EncoderRecord
from unisono.retrieval.checkpoint import digests


def common_record(files: Sequence[EmbeddingsFile], encoder: str) -> EncoderRecord:
    """Return what made the embeddings of an encoder, in all files alike.

    Raises:
        UsageError: one holds none, or they were made in another way; names the files and the difference.
    """
    records = [file.record_of(encoder) for file in files]
    for file, record in zip(files, records, strict=True):
        for name, value in asdict(record).items():
            expected = getattr(records[0], name)
            if name != "library" and value != expected:
                raise UsageError(
                    f"The {encoder} embeddings in {files[0].path} and {file.path} were made in different ways: {name} is "
                    f"{expected!r} in the first and {value!r} in the second.",
                    hint=f"Prepare one of them again, like the other: unisono prepare --encoders {encoder} --output-dir "
                    f"{file.path.parent}",
                )
    return records[0]


def refuse_repeated(files: Sequence[EmbeddingsFile]) -> None:
    """Refuse files that hold an excerpt of one id; music that is trained on here and held out there is logged.

    Raises:
        DataError: names both files and the first of the ids.
    """
    ids = [file.ids for file in files]
    keys = [digests(its_ids) for its_ids in ids]
    for one, other in itertools.combinations(range(len(files)), 2):
        _, _, places = np.intersect1d(keys[one], keys[other], return_indices=True)
        if len(places):
            raise DataError(
                f"{files[one].path} and {files[other].path} hold {len(places):,} excerpts of the same ids, the first "
                f"{ids[other][places.min()]!r}.",
                hint="Leave out one of the files, or unify their music and prepare it together.",
            )
    trained, held_out = (
        [np.unique(digests(filter(None, file.recordings(split)))) for file in files] for split in ("train", "val")
    )
    for at, its_recordings in enumerate(trained):
        for other, theirs in enumerate(held_out):
            shared = np.intersect1d(its_recordings, theirs, assume_unique=True)
            if at != other and len(shared):
                names = files[at].recordings("train")
                log.warning(
                    "%s recordings are in the train split of %s and in the val split of %s, such as %s: the model is "
                    "measured on music that it is trained on. Unify the music of both together to keep them apart.",
                    f"{len(shared):,}", files[at].path, files[other].path,
                    min(names[place] for place in np.flatnonzero(np.isin(digests(names), shared)).tolist()),
                )  # fmt: skip
