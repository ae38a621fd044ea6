from types import SimpleNamespace

import pytest

from toolkit.errors import ModelError
from transformer.settings import Settings
from transformer.tokenizer import prepare


def test_a_model_that_reads_hardly_any_token_is_refused() -> None:
    model = SimpleNamespace(
        config=SimpleNamespace(max_position_embeddings=7),
        named_modules=list,
        get_input_embeddings=lambda: SimpleNamespace(weight=["of [PAD]"]),
    )
    tokenizer = SimpleNamespace(pad_token="[PAD]", pad_token_id=0, get_vocab=lambda: {"[PAD]": 0})
    with pytest.raises(ModelError, match="reads 7 tokens by its config, and 8 are needed"):
        prepare(model, tokenizer, Settings(), "mine")
