from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from toolkit.errors import ModelError

FOLDER = Path("containers/transformer")


def test_a_model_that_reads_hardly_any_token_is_refused(
    load_module: Callable[[str | Path], ModuleType],
) -> None:
    reading, settings = (load_module(FOLDER / name) for name in ("reading.py", "settings.py"))
    model = SimpleNamespace(
        config=SimpleNamespace(max_position_embeddings=7),
        named_modules=list,
        get_input_embeddings=lambda: SimpleNamespace(weight=["of [PAD]"]),
    )
    tokenizer = SimpleNamespace(pad_token="[PAD]", pad_token_id=0, get_vocab=lambda: {"[PAD]": 0})
    with pytest.raises(ModelError, match="reads 7 tokens by its config, and 8 are needed"):
        reading.prepare(model, tokenizer, settings.Settings(), "mine")
