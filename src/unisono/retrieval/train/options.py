"""What a user may ask of `unisono train`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unisono.base.errors import UsageError
from unisono.commands.options import StageOptions

COLDEST, HOTTEST = 0.01, 1.0
"""Bounds of the temperature, given or learned."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions(StageOptions):
    """Options of `unisono train`."""

    audio_encoder: str = "muq"
    """Whose embeddings to search in."""
    text_encoder: str = "minilm"
    """Who reads the captions: a known text encoder, or any sentence-transformers model as <owner>/<model>."""
    data_dir: Path | None = None
    """Folder of `embeddings.h5`. Default: `<data-root>/processed_embeddings`."""
    checkpoint_dir: Path = Path("checkpoints")
    """Folder for `<encoder>_last.pt` and `<encoder>_best.pt`."""
    epochs: int = 20
    """Passes over the training excerpts, each with a caption chosen anew."""
    batch_size: int = 32
    """Excerpts a step, over all processes; each is compared with the captions of all others."""
    seed: int = 42
    """Seed of everything random."""
    resume: Path | None = None
    """Checkpoint to go on from, exactly; its options hold, except those given anew that do not change the result."""

    projection: Literal["text", "joint"] = "text"
    """Bring the text into the space of the audio embeddings, or both into a space of their own."""
    dim: int = 256
    """Dimensions of the common space with --projection joint."""
    text_head: Literal["linear", "mlp"] = "mlp"
    """What brings the text into the common space."""
    audio_head: Literal["linear", "mlp"] = "linear"
    """What brings the music into the common space with --projection joint."""
    hidden: int = 512
    """Width of the hidden layer of an mlp head."""
    dropout: float = 0.2
    """Share of the hidden units of an mlp head that is left out at random in training."""
    audio_scaling: Literal["zscore", "whiten", "none"] = "zscore"
    """What is done to the audio embeddings first, by the training set's statistics: none searches the raw space."""
    audio_windows: int | None = None
    """Train on so many windows of each excerpt, another choice at each step, instead of on all; they must have been kept
    by `prepare --keep-windows`. Default: all windows, pooled, as validation, evaluation and search have it."""
    whiten_dim: int = 128
    """Principal components kept by --audio-scaling whiten."""
    audio_noise: float | None = None
    """Standard deviation of the noise added to the scaled audio embeddings in training. Default: 1 with --projection
    joint, whose audio head it keeps from learning the training set by heart, else 0."""

    loss: Literal["infonce", "siglip"] = "infonce"
    """Symmetric InfoNCE (a softmax over the batch), or SigLIP (a yes or no for each pair)."""
    temperature: float = 0.1
    """What cosines are divided by in the loss, at the beginning."""
    learn_temperature: bool = True
    """Train the temperature too."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW; it rises linearly and falls as a cosine."""
    weight_decay: float = 0.01
    """Weight decay of AdamW, on matrices only."""
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises."""
    micro_batch: int | None = None
    """Excerpts that go through the model at a time; the gradient stays that of the whole batch."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Numbers that the heads compute with."""

    lora: bool = False
    """Tune the text encoder too, with adapters (LoRA); the captions then go through it at each step."""
    lora_rank: int = 8
    """Rank of the adapters."""
    lora_dropout: float = 0.05
    """Dropout of the adapters' inputs."""
    lora_learning_rate: float = 1e-4
    """Peak learning rate of the adapters."""

    mix_temperature: float = 1.0
    """Above 1, small datasets are drawn more often than their size says; shares grow as size ** (1 / temperature)."""
    mix_datasets: tuple[str, ...] = ()
    """Weights of an excerpt by dataset, e.g. `song_describer=3 fma=0.5`; 1 where not given."""
    mix_origins: tuple[str, ...] = ()
    """Weights of a caption by origin, e.g. `human=2 tags=0.5`; 1 where not given."""

    tag_dropout: float = 0.0
    """Add captions to music described by tags, worded anew with each tag left out with this probability."""
    tag_variants: int = 4
    """At most so many added captions an excerpt, with --tag-dropout."""

    select_by: Literal["mrr", "map@10", "recall@1", "recall@5", "recall@10"] = "mrr"
    """Text-to-music measure on the val split that decides which epoch is the best."""
    patience: int | None = None
    """Stop after so many epochs without a better one. Default: never."""
    val_limit: int = 10_000
    """At most so many val excerpts, a seeded sample, are searched after each epoch."""
    keep_every: int | None = None
    """Also keep the state after every so many epochs, as `<encoder>_epoch<number>.pt`."""
    keep_limit: int = 3
    """How many of these are kept, the latest ones."""
    save_seconds: float = 30.0
    """How often the state is saved while training: what a power cut can cost at most."""
    device: str = "auto"
    """Where to train: auto, cpu, cuda, cuda:1, ..."""
    threads: int | None = None
    """CPU threads that share a step's products. Default: 1 for small steps, where sharing costs more than it gains."""

    def __post_init__(self) -> None:
        """Refuse values that no training can have.

        Raises:
            UsageError: a value is out of its range.
        """
        at_least = {
            "epochs": 1,
            "batch_size": 2,
            "dim": 1,
            "hidden": 1,
            "whiten_dim": 1,
            "val_limit": 2,
            "lora_rank": 1,
        }
        for name, least in at_least.items():
            if getattr(self, name) < least:
                raise UsageError(f"--{name.replace('_', '-')} must be at least {least}, not {getattr(self, name)}.")
        if not COLDEST <= self.temperature <= HOTTEST:
            raise UsageError(f"--temperature must be from {COLDEST:g} to {HOTTEST:g}, not {self.temperature}.")
        for name in ("learning_rate", "lora_learning_rate", "mix_temperature"):
            if not getattr(self, name) > 0:
                raise UsageError(f"--{name.replace('_', '-')} must be above 0, not {getattr(self, name)}.")
        for name in ("dropout", "lora_dropout", "tag_dropout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(
                    f"--{name.replace('_', '-')} must be at least 0 and below 1, not {getattr(self, name)}."
                )
        if self.noise < 0 or self.weight_decay < 0:
            raise UsageError("--audio-noise and --weight-decay must not be negative.")
        for name in ("micro_batch", "patience", "threads", "keep_every", "audio_windows"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(self, name)}.")

    @property
    def noise(self) -> float:
        """Standard deviation of the noise."""
        if self.audio_noise is not None:
            return self.audio_noise
        return 1.0 if self.projection == "joint" else 0.0

    @property
    def data_path(self) -> Path:
        """The folder of the embeddings."""
        return self.data_dir or self.data_root / "processed_embeddings"
