"""A BERT of two layers with weights by chance, and its tokenizer, as save_pretrained lays them out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = [f"word{number}" for number in range(40)]
SIGNS = {"bad": "dreadful", "fine": "lovely"}
VOCABULARY = [*SPECIAL, *SIGNS.values(), *WORDS]
WIDTH, INNER, POSITIONS, LAYERS = 32, 64, 64, 2

CONFIG = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "vocab_size": len(VOCABULARY),
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "max_position_embeddings": POSITIONS,
    "type_vocab_size": 2,
    "pad_token_id": 0,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


def write(folder: Path, **changes: Any) -> None:
    """Write config.json, model.safetensors, tokenizer.json and tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "config.json": CONFIG | changes,
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": POSITIONS,
            **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")},
        },
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes(safetensors(weights()))


def tokenizer() -> dict[str, Any]:
    """A WordPiece tokenizer that knows whole words."""
    ids = {token: number for number, token in enumerate(VOCABULARY)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": ids[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token in SPECIAL
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }


def weights() -> dict[str, NDArray[np.float32]]:
    """Larger than BERT's own at the start, so that a hundred steps teach it something."""
    random = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "pooler.dense.weight": (WIDTH, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            shapes[f"{at}.attention.self.{name}.weight"] = (WIDTH, WIDTH)
        shapes[f"{at}.attention.output.dense.weight"] = (WIDTH, WIDTH)
        shapes[f"{at}.intermediate.dense.weight"] = (INNER, WIDTH)
        shapes[f"{at}.output.dense.weight"] = (WIDTH, INNER)
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    made = {name: random.normal(0, 0.2, shape) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        if "embeddings" not in name:
            made[name.replace(".weight", ".bias")] = np.zeros(shape[0])
    for name in norms:
        made |= {f"{name}.weight": np.ones(WIDTH), f"{name}.bias": np.zeros(WIDTH)}
    return {f"bert.{name}": array.astype(np.float32) for name, array in made.items()}


def safetensors(arrays: dict[str, NDArray[np.float32]]) -> bytes:
    """The file's bytes: the header's size, the header, the arrays."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name, array in arrays.items():
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [begin, len(content)]}
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + content
