"""Captions by a language model: it is told what is known about a track, and its answer is checked.

The modes are the four of LP-MusicCaps (Doh et al., 2023, https://arxiv.org/abs/2307.16372), with other prompts. The model
is not told the artist or the title: it would recite what it has read about them.
"""

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec

from unisono.base.errors import UnisonoError
from unisono.base.log import log
from unisono.base.progress import progress
from unisono.captions.answers import Answers, question_key
from unisono.captions.language_model import RUN_AGAIN, Answering, LanguageModel, Messages, Mode, NoAnswerError
from unisono.captions.lint import Given, fault
from unisono.captions.ways import template
from unisono.captions.ways._way import Request, Written
from unisono.tracks.track import CaptionOrigin, Track
from unisono.tracks.vocabulary import Facts, look_up, sort_tags

ORIGIN: CaptionOrigin = "model"
MOST_GUESSES = 3
RULES = (
    "You write descriptions of music for people who search for it. Say only what follows from what you are told about "
    "the track: no other instrument or genre, no number, no name of an artist or a song. Answer with the description "
    "alone, as plain prose: no introduction, no quotation marks, no list."
)
TASKS: dict[Mode, str] = {
    "writing": "Describe how this track sounds, in one or two fluent sentences.",
    "summary": "Sum this track up in a single short sentence of at most fifteen words.",
    "paraphrase": "Put the following description into other words and another sentence structure, and keep what it means.",
    "attributes": (
        f"Guess at most {MOST_GUESSES} genres, moods or instruments that such a track is likely to have besides, and "
        "describe the track with them in one or two fluent sentences. Here the answer is JSON and nothing else: "
        '{"guesses": ["...", "..."], "description": "..."}'
    ),
}
_TRIES = 2
"""A refused caption is sent back once, with the reason."""

_THOUGHTS = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_QUOTED = re.compile(r"""^(["'“‘«])(?P<inner>[^"“”«»]*)(["'”’»])$""")


@dataclass
class _Outcome:
    """The captions of a run, and what became of its questions."""

    captions: dict[str, list[str]] = field(default_factory=dict)
    """Id -> accepted captions, in the order of the modes."""
    counts: Counter[str] = field(default_factory=Counter)
    """asked, from the cache, accepted, refused, unanswered."""
    refused: list[dict[str, str]] = field(default_factory=list)
    """What was refused or not answered: id, mode, reason, text."""

    def add(self, writer: "_Writer") -> None:
        self.captions[writer.track.id] = writer.captions
        self.counts.update(writer.counts)
        self.refused += writer.refused

    def report(self) -> dict[str, Any]:
        reasons = Counter(item["reason"].partition(":")[0] for item in self.refused)
        return {"counts": dict(self.counts), "reasons": dict(reasons.most_common()), "refused": self.refused}


def write(tracks: Sequence[Track], request: Request) -> Written:
    """Ask for a caption in every mode for every track.

    Raises:
        UsageError: the request names no model, or a package is not installed.
        UnisonoError: the model cannot be asked at all, or has stopped answering.
    """
    request.model.refuse_incomplete()
    modes = request.model.modes
    model = _open(request.model)
    outcome = _Outcome()
    answers = Answers(request.model.cache)
    pool = ThreadPoolExecutor(request.model.workers, thread_name_prefix="llm")
    try:
        with progress("tracks") as bar:
            task = bar.add_task(f"Asking {model.model}", total=len(tracks))
            writers = (_Writer(model, answers, track, track.id in request.described) for track in tracks)
            for writer in pool.map(lambda writer: writer.write(modes), writers):
                outcome.add(writer)
                bar.advance(task)
    finally:
        model.close()
        pool.shutdown(cancel_futures=True)
        answers.close()
    if outcome.counts["unanswered"] and not outcome.counts["accepted"] + outcome.counts["refused"]:
        raise UnisonoError(f"{model.model} answered nothing: {outcome.refused[-1]['reason']}.", hint=RUN_AGAIN)
    _log(outcome.counts)
    return Written(outcome.captions, outcome.report())


def _open(settings: LanguageModel) -> Answering:
    if settings.url:
        from unisono.captions.server import Server  # requests takes a while to load

        return Server(settings.url, settings.model, requests_per_minute=settings.requests_per_minute)
    from unisono.captions.local_model import LocalModel  # loads torch

    return LocalModel(settings.model)


def _log(counts: Counter[str]) -> None:
    kinds = ("asked", "from the cache", "accepted")
    done = ", ".join(f"{counts[kind]:,} {kind}" for kind in kinds if counts[kind])
    log.info("Language model: %s", done or "nothing to ask")
    if counts["refused"] or counts["unanswered"]:
        log.warning(
            "Captions of the model that were refused: %d, questions without an answer: %d; those tracks have their other "
            "captions.",
            counts["refused"],
            counts["unanswered"],
        )
    if counts["unanswered"]:
        log.warning("Run the same command again to ask the questions without an answer.")


class _Writer:
    """Asks about one track."""

    def __init__(self, model: Answering, answers: Answers, track: Track, is_described: bool) -> None:
        self.track = track
        self.captions: list[str] = []
        self.counts: Counter[str] = Counter()
        self.refused: list[dict[str, str]] = []
        self._model = model
        self._answers = answers
        self._facts = sort_tags(track.genre, track.tags)
        self._description = track.caption if is_described else ""

    def write(self, modes: Sequence[Mode]) -> "_Writer":
        """Ask in each mode; if nothing is known that may be told, ask nothing."""
        if self._facts == Facts() and not self._description:
            return self
        for mode in dict.fromkeys(modes):
            self._write(mode)
        return self

    def _write(self, mode: Mode) -> None:
        messages = question(mode, self._facts, self._description)
        reason, answer = "", ""
        for _ in range(_TRIES):
            try:
                answer = self._ask(messages)
            except NoAnswerError as error:
                self.counts["unanswered"] += 1
                self._refuse(mode, f"no answer: {error}", "")
                return
            caption, reason = judge(mode, answer, self._facts, self._description)
            if not reason:
                self.counts["accepted"] += 1
                self.captions.append(caption)
                return
            again = f"This cannot be used ({reason}). Answer once more, by the rules."
            messages = [*messages, {"role": "assistant", "content": answer}, {"role": "user", "content": again}]
        self.counts["refused"] += 1
        self._refuse(mode, reason, answer)

    def _ask(self, messages: Messages) -> str:
        key = question_key(self._model.model, messages)
        if (known := self._answers.get(key)) is not None:
            self.counts["from the cache"] += 1
            return known
        self.counts["asked"] += 1
        answer = self._model.answer(messages)
        self._answers.add(key, self._model.model, answer)
        return answer

    def _refuse(self, mode: Mode, reason: str, text: str) -> None:
        self.refused.append({"id": self.track.id, "mode": mode, "reason": reason, "text": text})


def question(mode: Mode, facts: Facts, description: str) -> Messages:
    """Return the messages that ask for one caption."""
    if mode == "paraphrase":
        told = "Description: " + (description or template.of_facts(facts))
    else:
        lists = {
            "Genre": (facts.genre,),
            "Further genres": facts.genres,
            "Moods": facts.moods,
            "Instruments": facts.instruments,
            "Character": facts.characters,
            "Themes": facts.themes,
            "Description": (description,),
        }
        told = "\n".join(f"{name}: {', '.join(words)}" for name, words in lists.items() if any(words))
    return [{"role": "system", "content": RULES}, {"role": "user", "content": f"{TASKS[mode]}\n\n{told}"}]


def judge(mode: Mode, answer: str, facts: Facts, description: str) -> tuple[str, str]:
    """Return (the caption in an answer, why it is refused); the reason is "" if the caption is accepted."""
    text = _THOUGHTS.sub("", answer).strip()
    guesses: tuple[str, ...] = ()
    if mode == "attributes":
        try:
            found = msgspec.json.decode(text[text.find("{") : text.rfind("}") + 1], type=_Guessed)
        except (msgspec.DecodeError, UnicodeError):
            return "", "no JSON of the form asked for"
        text, guesses = found.description.strip(), tuple(filter(look_up, found.guesses[:MOST_GUESSES]))
    if quoted := _QUOTED.match(text):
        text = quoted["inner"].strip()
    given = Given(facts, description, guesses, f"{RULES} {TASKS[mode]}")
    reason = fault(text, given)
    caption = " ".join(text.split())
    if not reason and mode == "paraphrase" and _same(caption, description or template.of_facts(facts)):
        reason = "the same words"
    return caption, reason


def _same(one: str, other: str) -> bool:
    return re.findall(r"\w+", one.casefold()) == re.findall(r"\w+", other.casefold())


class _Guessed(msgspec.Struct):
    guesses: list[str]
    description: str
