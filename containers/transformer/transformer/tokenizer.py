"""How a model and its tokenizer read texts: what pads them, how much of them is read."""

import sys
from typing import Any

from toolkit.errors import ModelError

from transformer.encoding import ALIGNED_TOKENS
from transformer.settings import Settings


def prepare(model: Any, tokenizer: Any, settings: Settings, origin: str) -> None:
    """Let the tokenizer pad with a token of the model's, and cut texts to what the model reads.

    Args:
        origin: Where both are from, in an error's words.

    Raises:
        ModelError: The tokenizer has nothing to pad with, or tokens that the model does not have; or the
            model reads hardly any, or padding.
    """
    if getattr(model.config, "summary_type", None) == "last":
        raise ModelError(
            f"{origin} ({model.config.model_type}) reads a text's label off its last token, which is padding "
            "here; choose an encoder such as BERT, or a decoder such as GPT-2"
        )
    pad(tokenizer, origin)
    refuse_unknown_tokens(model, tokenizer, origin)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.use_cache = False  # a decoder would return what only the next word needs; no graph can
    readable = positions(model)
    readable -= readable % ALIGNED_TOKENS  # rows are filled up to a multiple, which has to be readable too
    if not readable:
        raise ModelError(
            f"{origin} reads {positions(model)} tokens by its config, and {ALIGNED_TOKENS} are needed"
        )
    tokenizer.model_max_length = min(settings.max_tokens, tokenizer.model_max_length, readable)
    tokenizer.truncation_side = "right" if settings.keep == "start" else "left"
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.enable_truncation(
        tokenizer.model_max_length, direction=tokenizer.truncation_side
    )


def pad(tokenizer: Any, origin: str) -> None:
    """Choose the token that fills shorter texts up: the tokenizer's own, else that of a text's end."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise ModelError(
            f"the tokenizer of {origin} has neither a pad_token nor an eos_token to fill shorter texts up "
            "with; name one of its tokens as pad_token in its tokenizer_config.json"
        )


def refuse_unknown_tokens(model: Any, tokenizer: Any, origin: str) -> None:
    """A token beyond the model's embeddings would end the training where a text first has it."""
    embeddings = len(model.get_input_embeddings().weight)
    token, number = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if number >= embeddings:
        raise ModelError(
            f"the tokenizer of {origin} has the token '{token}' as number {number:,}, but the model only "
            f"those below {embeddings:,}; give the tokenizer that the model was trained with"
        )


def positions(model: Any) -> int:
    """How many tokens of a text the model can read; RoBERTa's kin numbers them from its padding's on."""
    limit = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit <= 0:  # -1 stands for any number
        return sys.maxsize
    unused = [
        module.padding_idx + 1
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None
    ]
    return max(limit - max(unused, default=0), 0)
