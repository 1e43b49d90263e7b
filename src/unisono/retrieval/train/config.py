"""The settings of a training: what decides the model, and how the training runs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from msgspec import Meta

from unisono.base.arguments import AtLeastTwo, Count, Positive, Seconds, Share, as_path, check
from unisono.base.errors import UsageError
from unisono.captions.falsehoods import Falsehood
from unisono.retrieval.train import losses

COLDEST, HOTTEST = 0.01, 1.0
"""Bounds of the temperature, given or learned."""

NotNegative = Annotated[float, Meta(ge=0)]
NotNegativeCount = Annotated[int, Meta(ge=0)]
Temperature = Annotated[float, Meta(ge=COLDEST, le=HOTTEST)]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What decides the model that a training makes of its data."""

    model: str | None = None
    """Start from a joint model (`unisono models list`), which the first step then scores as, or from a trained model's
    checkpoint. Decides the encoders and the heads."""
    keep_near: NotNegative = 0.0
    """With --model: how strongly every embedding is pulled towards that of the start, as the weight of 1 - cosine in the
    loss; 1 is strong."""
    audio_encoder: str = "muq"
    """Audio encoder whose embeddings are searched."""
    text_encoder: str = "minilm"
    """Text encoder of the captions: a known one, or any sentence-transformers model as `OWNER/MODEL`."""
    epochs: Count = 20
    """Passes over the training excerpts, each with another caption of each."""
    batch_size: AtLeastTwo = 32
    """Excerpts a step, over all processes; each is compared with the captions of all others."""
    seed: int = 42
    """Seed of everything random."""

    projection: Literal["text", "joint"] = "text"
    """Map the text into the space of the audio embeddings, or both into a common space."""
    dim: Count = 256
    """Dimensions of the common space with --projection joint."""
    text_head: Literal["linear", "mlp", "residual"] = "mlp"
    """Projection head of the text; residual adds an mlp to its input, and starts as the identity."""
    audio_head: Literal["linear", "mlp", "residual"] = "linear"
    """Projection head of the music with --projection joint."""
    hidden: Count = 512
    """Width of the hidden layer of an mlp head."""
    dropout: Share = 0.2
    """Dropout of the hidden layer of an mlp head."""
    audio_scaling: Literal["zscore", "whiten", "none"] = "zscore"
    """Scaling of the audio embeddings, fitted on the train split; with none, the raw space is searched."""
    audio_windows: Count | None = None
    """Train on this many windows of each excerpt, drawn at each step; they must have been kept by `prepare --keep-windows`,
    unless the audio encoder is tuned. Default: on all windows, pooled, as in validation, evaluation and search; with
    --tune-audio 1."""
    whiten_dim: Count = 128
    """Principal components kept by --audio-scaling whiten."""
    audio_noise: NotNegative | None = None
    """Standard deviation of the noise added to the scaled audio embeddings in training. Default: 1 with --projection
    joint, where it keeps the audio head from overfitting, otherwise 0."""

    loss: str = "infonce"
    """Loss: infonce (symmetric, a softmax over the batch), dcl (decoupled: over the negatives alone), siglip (each pair
    classified on its own), or infonce_sigreg (infonce, and embeddings spread evenly over the sphere)."""
    maxsim: Share = 0.0
    """Weight, in the loss, of comparing each token of a caption with each window of the music (MaxSim), such as 0.4; needs
    --audio-windows. `unisono search --rerank maxsim` then can order hits by it."""
    temperature: Temperature = 0.1
    """Divisor of the cosines in the loss, at the beginning."""
    learn_temperature: bool = True
    """Train the temperature too."""
    learning_rate: Positive = 1e-3
    """Peak learning rate of AdamW: a linear warmup, then a cosine decay."""
    weight_decay: NotNegative = 0.01
    """Weight decay of AdamW, on matrices only."""
    warmup: Share = 0.05
    """Share of the steps that are warmup."""
    shuffle: Literal["auto", "all", "blocks"] = "auto"
    """Order of the excerpts in an epoch: all of them shuffled, which holds their embeddings in memory, or read from the disk
    in blocks, in random order, and mixed among some of them. Default: all up to 4 GiB of embeddings, blocks beyond."""
    micro_batch: Count | None = None
    """Excerpts that go through the model at a time; the gradient is still that of the whole batch."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of the heads, and of tuned encoders."""

    tune_audio: Literal["lora", "full"] | None = None
    """Tune the audio encoder too, by LoRA adapters or all of it: random windows of the audio itself go through it at each
    step. Default: train on its stored embeddings."""
    audio_learning_rate: Positive = 1e-4
    """Peak learning rate of the audio encoder, or of its adapters."""
    layer_decay: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """With --tune-audio: the learning rate of a stage of the encoder, relative to that of the stage after it."""
    frozen_front: NotNegativeCount = 0
    """With --tune-audio: how many stages at the front of the encoder are not trained."""
    cached_audio: bool = False
    """With --tune-audio: read the audio that `prepare --cache-audio` decoded, instead of decoding the files."""

    lora: bool = False
    """Tune the text encoder too, with LoRA adapters; the captions then go through it at each step."""
    lora_rank: Count = 8
    """Rank of the adapters, also of those of the audio encoder."""
    lora_dropout: Share = 0.05
    """Dropout of the inputs of the adapters."""
    lora_learning_rate: Positive = 1e-4
    """Peak learning rate of the adapters."""

    mix_temperature: Positive = 1.0
    """Above 1, small datasets are drawn more often; the share of a dataset is proportional to size ** (1 / temperature)."""
    mix_datasets: tuple[str, ...] = ()
    """Weights of an excerpt by dataset, such as `song_describer=3 fma=0.5`. Default: 1 each."""
    mix_origins: tuple[str, ...] = ()
    """Weights of a caption by origin, such as `human=2 tags=0.5`. Default: 1 each."""

    tag_dropout: Share = 0.0
    """Add captions to music described by tags; each of its tags is left out with this probability."""
    tag_variants: int = 4
    """The most captions added to an excerpt, with --tag-dropout."""

    views: bool = False
    """Train on partial views of each caption, all kinds with equal chance: whole, one or two of its sentences in random
    order, only its tags, its beginning. `unisono captions preview --views` shows them."""
    hard_negatives: tuple[Falsehood, ...] = ()
    """Also tell each caption from a false one, in which one thing was changed: instrument, mood, tempo, key, voice, or
    negation. `unisono captions preview --views` shows them."""
    hard_negative_weight: NotNegative = 1.0
    """Weight of that in the loss."""

    select_by: Literal["mrr", "map@10", "recall@1", "recall@5", "recall@10"] = "mrr"
    """Text-to-music measure on the val split that selects the best epoch."""
    patience: Count | None = None
    """Stop after this many epochs without a better one. Default: never."""
    val_limit: AtLeastTwo = 10_000
    """The most val excerpts that are searched after each epoch, a seeded sample."""

    def __post_init__(self) -> None:
        """Check the values, and write mappings of weights as the `name=weight` words that checkpoints record.

        Raises:
            UsageError: a value is of another type or out of its bounds.
        """
        for name in ("mix_datasets", "mix_origins", "hard_negatives"):
            object.__setattr__(self, name, _words(getattr(self, name)))
        _check(TrainingConfig, self)
        if self.keep_near and (self.model is None or self.lora or self.tune_audio):
            raise UsageError(
                "keep_near needs a model to start from (model) and encoders that are not tuned (no lora, no tune_audio).",
                parameter="keep_near",
            )
        if self.maxsim and (self.audio_windows is None or self.lora):
            raise UsageError(
                "maxsim needs some windows of each excerpt (audio_windows), and a text encoder that is not tuned (no lora): "
                "the tokens are embedded before the training.",
                hint="Keep them with prepare --keep-windows, and train with --audio-windows 4, or as many as you can.",
                parameter="maxsim",
            )
        if self.tune_audio is None and (self.cached_audio or self.frozen_front or self.layer_decay != 1):
            raise UsageError(
                "cached_audio, frozen_front and layer_decay are for an audio encoder that is tuned (tune_audio).",
                parameter="tune_audio",
            )
        losses.get(self.loss)

    @property
    def noise(self) -> float:
        """Standard deviation of the noise."""
        if self.audio_noise is not None:
            return self.audio_noise
        return 1.0 if self.projection == "joint" else 0.0


def _words(weights: Any) -> Any:
    if isinstance(weights, Mapping):
        return tuple(f"{name}={weight}" for name, weight in weights.items())
    return tuple(weights) if isinstance(weights, list) else weights


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Where and how a training runs; they may change when it is resumed."""

    run_name: str = ""
    """What the model is called in its checkpoint and on its card, such as the recipe that made it."""
    checkpoint_dir: Path = Path("checkpoints")
    """Folder for `<encoder>_last.pt` and `<encoder>_best.pt`."""
    keep_every: Count | None = None
    """Also keep the state after every this many epochs, as `<encoder>_epoch<number>.pt`."""
    keep_limit: Count = 3
    """How many of these are kept, the latest ones."""
    save_seconds: Seconds = 30.0
    """How often the state is saved while training, in seconds, the most that a power cut can cost; less often if that would
    take a twentieth of the time."""
    device: str = "auto"
    """Where to train: auto, cpu, cuda, cuda:1, ..."""
    dataset_file: Path | None = None
    """With --tune-audio: unified file that says where the audio is. Default: where it was when it was embedded. If it was
    not embedded yet, that is done first."""
    workers: Count | None = None
    """With --tune-audio: threads that decode audio ahead. Default: the number of cores."""
    gradient_checkpointing: bool = False
    """With --tune-audio: compute the layers of the encoder again in the backward pass, which takes a third more time and
    much less memory; the result is the same."""
    threads: Count | None = None
    """CPU threads of a step. Default: 1 for small steps, where sharing the work costs more than it gains."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: a value is of another type or out of its bounds.
        """
        object.__setattr__(self, "checkpoint_dir", as_path(self.checkpoint_dir))
        object.__setattr__(self, "dataset_file", as_path(self.dataset_file) if self.dataset_file else None)
        _check(RunSettings, self)


def _check(kind: type[TrainingConfig] | type[RunSettings], settings: TrainingConfig | RunSettings) -> None:
    hints = get_type_hints(kind, include_extras=True)
    for each in fields(kind):
        check(each.name, getattr(settings, each.name), hints[each.name])
