"""Which language model writes captions, and how it is asked."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, get_type_hints

from unisono.base.arguments import AnyPath, Count, Positive, check
from unisono.base.errors import UsageError

Mode = Literal["writing", "summary", "paraphrase", "attributes"]
Messages = list[dict[str, str]]
CACHE_FILE = "llm_answers.sqlite"
MOST_TOKENS = 400
"""Of one answer."""
RUN_AGAIN = "Run the same command again later: what was answered so far is kept and not asked again."


@dataclass(frozen=True, kw_only=True)
class LanguageModel:
    """The settings of a language model.

    Raises:
        UsageError: a value is out of its bounds.
    """

    model: str = ""
    """Its name at the server; without `url`, the folder of a local one, or its name on the Hugging Face Hub."""
    url: str = ""
    """An OpenAI-compatible server, such as http://localhost:8000/v1. Its key is read from UNISONO_LLM_KEY."""
    modes: tuple[Mode, ...] = ("writing",)
    """One caption each; `attributes` also lets the model guess what fits, within stated limits."""
    workers: Count = 4
    """Requests in flight at a time."""
    requests_per_minute: Positive | None = None
    """An upper limit; None for no limit."""
    cache: AnyPath | None = None
    """File that keeps every answer, so that nothing is asked twice. By default, `unify` keeps it in the data folder."""

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(LanguageModel, include_extras=True).items():
            check(f"llm_{name}", getattr(self, name), hint)

    def refuse_incomplete(self) -> None:
        """Refuse settings by which no model can be asked.

        Raises:
            UsageError: the model, or all modes, are missing, or the address is not one.
        """
        if not self.model or not self.modes:
            raise UsageError(
                "captions llm needs a model, and at least one mode.",
                hint="--llm-url http://localhost:8000/v1 --llm-model NAME, or --llm-model FOLDER for a local one.",
                parameter="captions",
            )
        if self.url and not self.url.startswith(("http://", "https://")):
            raise UsageError(f"llm_url must begin with http:// or https://, found {self.url!r}.", parameter="llm_url")

    def with_cache_in(self, folder: Path) -> "LanguageModel":
        """Return these settings with the default cache file in a folder, unless they name one."""
        return replace(self, cache=folder / CACHE_FILE) if self.cache is None else self


class Answering(Protocol):
    """A model that answers."""

    model: str

    def answer(self, messages: Messages) -> str:
        """Answer a conversation.

        Raises:
            NoAnswerError: there is no answer to this one.
            UnisonoError: no question will be answered.
        """
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class NoAnswerError(Exception):
    """One question got no answer that can be used; the next one may."""
