"""Guess the meaning of a Hugging Face dataset's columns from their names and types, if no recipe states it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from unisono.base.errors import UsageError
from unisono.base.log import log
from unisono.sources.own.layout import METADATA
from unisono.sources.own.recipe import Recipe, RecipeColumns

FILE_NAME = "file_name"
"""The name of the column with the names of audio files in `metadata.*`."""
CAPTIONS = ("caption", "captions", "main_caption", "text", "description")
"""Possible names of the column of captions; the first one that is there counts."""
MORE_CAPTIONS = ("alt_caption", "alt_captions")
PARTS_OF_AUDIO = ("start", "start_s", "start_time")
"""Columns with two possible meanings: the part of its audio that a row describes, or the part of a longer recording
that its audio is."""
SAME_NAME = ("title", "artist", "genre", "tags", "license", "url", "year")


def guessed(recipe: Recipe, table: Path, names: Sequence[str], audio_columns: Sequence[str]) -> Recipe:
    """Return a recipe completed by the columns of audio and captions.

    Raises:
        UsageError: no column, or more than one, can be the audio or the caption; the message lists the columns.
    """
    audio = _audio(table, names, audio_columns)
    text = {name.lower(): name for name in reversed(names) if name not in audio_columns}
    caption = next((text[name] for name in CAPTIONS if name in text), None)
    if caption is None:
        raise _unclear(table, names, f"none is called {', '.join(CAPTIONS[:-1])} or {CAPTIONS[-1]}", audio, "COLUMN")
    more = [text[name] for name in MORE_CAPTIONS if name in text]
    others = {name: text[name] for name in SAME_NAME if name in text}
    for name in filter(text.__contains__, PARTS_OF_AUDIO):
        log.info(
            "%s: the column %r is not used. If it says where in its audio the described part begins, name it in a recipe.",
            table,
            text[name],
        )
    return msgspec.structs.replace(
        recipe, audio=f"{{{audio}}}", columns=RecipeColumns(caption=[caption, *more], **others)
    )


def _audio(table: Path, names: Sequence[str], audio_columns: Sequence[str]) -> str:
    if table.name in METADATA:
        if FILE_NAME not in names:
            raise _unclear(table, names, f"none is called {FILE_NAME}, which names the audio", "COLUMN", "COLUMN")
        return FILE_NAME
    if len(audio_columns) == 1 or "audio" in audio_columns:
        return "audio" if "audio" in audio_columns else audio_columns[0]
    why = f"{' and '.join(audio_columns)} hold audio" if audio_columns else "none holds audio"
    raise _unclear(table, names, why, "COLUMN", "COLUMN")


def _unclear(table: Path, names: Sequence[str], why: str, audio: str, caption: str) -> UsageError:
    return UsageError(
        f"{table}: which columns are audio and caption? {why[0].upper()}{why[1:]}; columns found: {', '.join(names)}.",
        hint=f'Say so in a recipe, a file my.toml with the same table, audio = "{{{audio}}}", and below it [columns] and '
        f'caption = "{caption}": docs/your-own-music.md',
    )
