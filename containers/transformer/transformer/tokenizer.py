"""Configure padding and truncation of the tokenizer for the model."""

import sys
from typing import Any

from toolkit.errors import ModelError
from transformer.encoding import ALIGNED_TOKENS
from transformer.settings import Settings


def prepare(model: Any, tokenizer: Any, settings: Settings, origin: str) -> None:
    """Make the tokenizer pad with a token of the model, and truncate texts to what the model reads.

    Args:
        origin: The source of both, for error messages.

    Raises:
        ModelError: The tokenizer has no padding token or tokens that the model lacks, or the model reads too
            few tokens or reads the padding.
    """
    if getattr(model.config, "summary_type", None) == "last":
        raise ModelError(
            f"{origin} ({model.config.model_type}) classifies by the last token, which is padding "
            "here; choose an encoder such as BERT, or a decoder such as GPT-2"
        )
    pad(tokenizer, origin)
    refuse_unknown_tokens(model, tokenizer, origin)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.use_cache = False  # the cache serves text generation only and cannot be exported
    readable = positions(model)
    readable -= readable % ALIGNED_TOKENS  # rows are padded to a multiple, which must fit too
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
    """Choose the padding token: the tokenizer's own, else its end-of-text token."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise ModelError(
            f"the tokenizer of {origin} has neither a pad_token nor an eos_token to pad shorter texts "
            "with; name one of its tokens as pad_token in its tokenizer_config.json"
        )


def refuse_unknown_tokens(model: Any, tokenizer: Any, origin: str) -> None:
    """Refuse a token beyond the model's embeddings, which would fail in the middle of the training."""
    embeddings = len(model.get_input_embeddings().weight)
    token, number = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if number >= embeddings:
        raise ModelError(
            f"the tokenizer of {origin} has the token '{token}' as number {number:,}, but the model only "
            f"those below {embeddings:,}; give the tokenizer that the model was trained with"
        )


def positions(model: Any) -> int:
    """Return the number of tokens that the model can read.

    RoBERTa's family starts numbering positions after the padding index.
    """
    limit = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit <= 0:  # -1 means unlimited
        return sys.maxsize
    unused = [
        module.padding_idx + 1
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None
    ]
    return max(limit - max(unused, default=0), 0)
