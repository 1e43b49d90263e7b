"""A language model on this machine, run by transformers."""

import threading
from typing import Any

from unisono.base.errors import UnisonoError
from unisono.base.extras import extra
from unisono.captions.language_model import MOST_TOKENS, Messages


class LocalModel:
    """Asks one model, one question at a time. Decoding is greedy, so that answers repeat."""

    def __init__(self, model: str) -> None:
        """Load a folder, or a name on the Hugging Face Hub: only safetensors, and no code that comes with the model.

        Raises:
            MissingExtraError: torch or transformers is not installed.
            UnisonoError: there is no such model, or it cannot be loaded.
        """
        with extra("embed", "A local language model"):
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        self.model = model
        self._lock = threading.Lock()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                model, use_safetensors=True, dtype="auto", trust_remote_code=False
            )
        except (OSError, ValueError, ImportError) as error:
            said = " ".join(str(error).split())[:300]
            raise UnisonoError(
                f"The model {model!r} cannot be loaded: {said}",
                hint="--llm-model takes a folder with config.json, tokenizer and .safetensors, or a name on the Hub.",
            ) from error
        self._model = loaded.eval().to(device)

    def answer(self, messages: Messages) -> str:
        """Return the model's answer."""
        import torch

        with self._lock, torch.inference_mode():
            has_template = bool(self._tokenizer.chat_template)  # which brings the special tokens
            prompt = self._prompt(messages)
            tokens = self._tokenizer(prompt, add_special_tokens=not has_template, return_tensors="pt")
            tokens = tokens.to(self._model.device)
            tokens.pop("token_type_ids", None)
            written = self._model.generate(
                **tokens, max_new_tokens=MOST_TOKENS, do_sample=False, pad_token_id=self._tokenizer.eos_token_id
            )
            text: str = self._tokenizer.decode(written[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True)
        return text

    def close(self) -> None:
        """Do nothing: a local model has nothing to close."""

    def _prompt(self, messages: Messages) -> str:
        if self._tokenizer.chat_template:
            prompt: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            return prompt
        return "\n\n".join(message["content"] for message in messages) + "\n\nAnswer: "
