"""Tiny models of other architectures, with weights by chance; runs in the image's environment."""

import json
from pathlib import Path

import tiny_bert  # type: ignore[import-not-found]
from transformers import GPT2Config, GPT2Model, RobertaConfig, RobertaModel

SPREAD = {"initializer_range": 0.2}  # as tiny_bert's


def write_roberta(folder: Path) -> None:
    """Of whose positions the first is its padding's: it reads one token less than BERT."""
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    own = {name: tiny_bert.CONFIG[name] for name in (*names, "max_position_embeddings", "pad_token_id")}
    RobertaModel(RobertaConfig(**own, **SPREAD)).save_pretrained(folder)
    change(folder / "tokenizer_config.json", model_max_length=None)


def write_gpt2(folder: Path) -> None:
    """Whose tokenizer has no token to pad with, and adds none to a text."""
    config = GPT2Config(
        vocab_size=len(tiny_bert.VOCABULARY),
        n_embd=tiny_bert.WIDTH,
        n_layer=tiny_bert.LAYERS,
        n_head=2,
        n_positions=tiny_bert.POSITIONS,
        bos_token_id=3,
        eos_token_id=3,
        **SPREAD,
    )
    GPT2Model(config).save_pretrained(folder)
    change(folder / "tokenizer.json", post_processor=None)
    change(
        folder / "tokenizer_config.json", pad_token=None, cls_token=None, sep_token=None, eos_token="[SEP]"
    )


def change(file: Path, **changes: object) -> None:
    """Replace values of a JSON object; None takes one away."""
    content = json.loads(file.read_text()) | changes
    kept = {name: value for name, value in content.items() if value is not None or name == "post_processor"}
    file.write_text(json.dumps(kept))
