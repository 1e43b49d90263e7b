"""Options of the commands that make captions: `unisono unify` and `unisono captions preview`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from unisono.captions import ways
from unisono.captions.language_model import LanguageModel, Mode
from unisono.commands.options import Count, Positive, StageOptions

if TYPE_CHECKING:
    Way = str
else:
    Way = Literal[tuple(ways.names())]
_GROUP = Parameter(group=Group("Captions", sort_key=1))


@dataclass(frozen=True, kw_only=True)
class CaptionOptions(StageOptions):
    """Options of the commands that make captions."""

    captions: Annotated[tuple[Way, ...], _GROUP] = ("template",)
    """How to caption tracks that upstream does not: the first way gives the caption, each further one an alternative."""
    caption_all: Annotated[bool, _GROUP] = False
    """Make captions for tracks that upstream describes too; upstream's stay in front."""
    llm_url: Annotated[str, _GROUP] = ""
    """For `llm`: an OpenAI-compatible server, e.g. http://localhost:8000/v1. Its key is read from UNISONO_LLM_KEY."""
    llm_model: Annotated[str, _GROUP] = ""
    """For `llm`: the model's name at the server; without --llm-url, the folder of a local one, or its name on the Hub."""
    llm_modes: Annotated[tuple[Mode, ...], _GROUP] = ("writing",)
    """For `llm`: one caption each; `attributes` also lets the model guess what fits, within stated limits."""
    llm_workers: Annotated[Count, _GROUP] = 4
    """For `llm`: requests in flight at a time."""
    llm_requests_per_minute: Annotated[Positive | None, _GROUP] = None
    """For `llm`: upper limit of requests a minute."""
    llm_cache: Annotated[Path | None, _GROUP] = None
    """For `llm`: file that keeps every answer, so that nothing is asked twice. Default: `<data-root>/llm_answers.sqlite`."""

    @property
    def language_model(self) -> LanguageModel:
        """The settings of the language model."""
        return LanguageModel(
            model=self.llm_model,
            url=self.llm_url,
            modes=self.llm_modes,
            workers=self.llm_workers,
            requests_per_minute=self.llm_requests_per_minute,
            cache=self.llm_cache,
        )
