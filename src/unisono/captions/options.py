"""What a user may ask of the making of captions, in `unisono unify` and in `unisono captions preview`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from cyclopts import Group, Parameter

from unisono.base.errors import UsageError
from unisono.commands.options import StageOptions

Strategy = Literal["template", "varied", "keywords", "metadata", "llm"]
Mode = Literal["writing", "summary", "paraphrase", "attributes"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

_GROUP = Parameter(group=Group("Captions", sort_key=1))


@dataclass(frozen=True, kw_only=True)
class CaptionOptions(StageOptions):
    """Options of the commands that make captions."""

    captions: Annotated[tuple[Strategy, ...], _GROUP] = ("template",)
    """How to describe tracks that upstream does not: the first gives the caption, each further one an alternative."""
    caption_all: Annotated[bool, _GROUP] = False
    """Make captions for tracks that upstream describes too; upstream's stay in front."""
    llm_url: Annotated[str, _GROUP] = ""
    """For `llm`: an OpenAI-compatible server, e.g. http://localhost:8000/v1. Its key is read from UNISONO_LLM_KEY."""
    llm_model: Annotated[str, _GROUP] = ""
    """For `llm`: the model's name at the server; without --llm-url, the folder of a local one, or its name on the Hub."""
    llm_modes: Annotated[tuple[Mode, ...], _GROUP] = ("writing",)
    """For `llm`: one caption each; `attributes` also lets the model guess what fits, within stated limits."""
    llm_workers: Annotated[int, _GROUP] = 4
    """For `llm`: requests under way at a time."""
    llm_requests_per_minute: Annotated[float | None, _GROUP] = None
    """For `llm`: at most so many requests a minute."""
    llm_cache: Annotated[Path | None, _GROUP] = None
    """For `llm`: file that keeps every answer, so that nothing is asked twice. Default: `<data-root>/llm_answers.jsonl`."""

    @property
    def llm_cache_path(self) -> Path:
        """The file of answers."""
        return self.llm_cache or self.data_root / "llm_answers.jsonl"

    def check_captions(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            UsageError: it does.
        """
        if not self.captions:
            raise UsageError("--captions needs one of: " + ", ".join(STRATEGIES))
        if self.llm_workers < 1:
            raise UsageError(f"--llm-workers must be at least 1, found {self.llm_workers}.")
        rate = self.llm_requests_per_minute
        if rate is not None and not 0 < rate < float("inf"):
            raise UsageError(f"--llm-requests-per-minute must be a positive number, found {rate}.")
        if "llm" not in self.captions:
            return
        if not self.llm_model or not self.llm_modes:
            raise UsageError(
                "--captions llm needs a model, and at least one mode.",
                hint="--llm-url http://localhost:8000/v1 --llm-model NAME, or --llm-model FOLDER for a local one.",
            )
        if self.llm_url and not self.llm_url.startswith(("http://", "https://")):
            raise UsageError(f"--llm-url must begin with http:// or https://, found {self.llm_url!r}.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PreviewOptions(CaptionOptions):
    """Options of `unisono captions preview`."""

    count: int = 10
    """How many tracks to show."""
    seed: int = 42
    """Seed of the choice of tracks, and of `varied`."""
