"""Runs in the image's environment, all in one process since its imports take seconds.

Prints a line of JSON for each scenario: what came of it, or the error's message.
"""

import json
import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tiny_bert  # type: ignore[import-not-found]
import tiny_models  # type: ignore[import-not-found]
import torch
import transformers
from safetensors.numpy import load_file, save_file

from toolkit.errors import ContainerError
from toolkit.job import Job
from toolkit.rows import Rows
from transformer import checkpoint, classifier, gpu, onnx_graph, tokenizer
from transformer.launching import launch
from transformer.settings import Settings
from transformer.trainer import Trainer

HERE = Path(sys.argv[1])


def no_graph(*_: Any) -> None:
    """Its export takes seconds, and other tests have it."""


class Recorded(Job):
    """A job that remembers what it logs."""

    def log(self, message: str) -> None:
        (self.base / "log").open("a").write(message + "\n")


def run(
    name: str, settings: Mapping[str, str], prepare: Callable[[Path], None] | None = None
) -> dict[str, Any]:
    """Train on a copy of the job."""
    base = HERE / name
    shutil.copytree(HERE / "job", base)
    file = base / "input/config/hyperparameters.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    if prepare:
        prepare(base)
    job = Recorded(base)
    try:
        launch(job)
    except ContainerError as error:
        return {"error": str(error)}
    log = (base / "log").read_text().splitlines()
    return {"log": log, "weights": str(base / "model/model.safetensors")}


def change(base: Path, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the base model's weights."""
    file = base / "input/data/pretrained/model.safetensors"
    save_file(edit(load_file(file)), file, {"format": "pt"})


def damaged(base: Path) -> None:
    (base / "input/data/pretrained/model.safetensors").write_bytes(b"damaged")


def of_no_tokens(base: Path) -> None:
    (base / "input/data/pretrained/tokenizer.json").write_text('{"added_tokens": []}')


def without_a_layer(base: Path) -> None:
    change(base, lambda weights: {n: w for n, w in weights.items() if "layer.1." not in n})


def of_another_shape(base: Path) -> None:
    change(base, lambda weights: {n: w[:20] if "word_embeddings" in n else w for n, w in weights.items()})


def without_a_pooler(base: Path) -> None:
    change(base, lambda weights: {n: w for n, w in weights.items() if "pooler" not in n})


def of_no_known_kind(base: Path) -> None:
    (base / "input/data/pretrained/config.json").write_text('{"model_type": "no-such-kind"}')


def of_no_numbers(base: Path) -> None:
    change(base, lambda weights: {n: w * float("nan") for n, w in weights.items()})


def own_archive(base: Path) -> None:
    """A model that another scenario made, as a training job leaves it."""
    shutil.rmtree(base / "input/data/pretrained")
    (base / "input/data/pretrained").mkdir()
    with tarfile.open(base / "input/data/pretrained/model.tar.gz", "w:gz") as tar:
        tar.add(HERE / "five epochs/model", ".")


def pickled_checkpoint(base: Path) -> None:
    folder = Job(base).checkpoint_dir
    torch.save({"identity": Path("anything")}, folder / checkpoint.FILE)


def other_checkpoint(base: Path) -> None:
    checkpoint.save(Job(base).checkpoint_dir, {"identity": "of another"})


def without_the_channel(base: Path) -> None:
    shutil.rmtree(base / "input/data/pretrained")


def without_validation(base: Path) -> None:
    shutil.rmtree(base / "input/data/validation")


def rewrite(base: Path, edit: Callable[[int, dict[str, str]], dict[str, str]]) -> None:
    """Change the rows of both channels."""
    for file in (base / "input/data").glob("*/rows.jsonl"):
        rows = [edit(*row) for row in enumerate(map(json.loads, file.read_text().splitlines()))]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def of_one_label(base: Path) -> None:
    rewrite(base, lambda number, row: row | {"label": "fine"})


def of_three_labels(base: Path) -> None:
    """Every third row is without a sign, the text empty or up to three times as long."""

    def edit(number: int, row: dict[str, str]) -> dict[str, str]:
        words = [word for word in row["text"].split() if word not in tiny_bert.SIGNS.values()]
        other = {"text": " ".join(words * (number % 4)), "label": "other"}
        return row | ({} if number % 3 else other)

    rewrite(base, edit)


def signs_at_the_end(base: Path) -> None:
    """Texts longer than the model reads, alike but for their last word."""
    before = " ".join(2 * tiny_bert.WORDS)
    rewrite(base, lambda number, row: row | {"text": f"{before} {tiny_bert.SIGNS[row['label']]}"})


def without_padding(base: Path) -> None:
    tiny_models.change(base / "input/data/pretrained/tokenizer_config.json", pad_token=None)


def of_more_tokens(base: Path) -> None:
    file = base / "input/data/pretrained/tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["vocab"]["beyond"] = len(tiny_bert.VOCABULARY)
    file.write_text(json.dumps(content))


def of_last_tokens(base: Path) -> None:
    tiny_models.change(base / "input/data/pretrained/config.json", summary_type="last")


def without_such_a_kernel(base: Path) -> None:
    """A step does what PyTorch has no deterministic kernel for."""

    def learn(*_: Any) -> None:
        torch.zeros(2).put_(torch.tensor([0, 0]), torch.ones(2))

    Trainer.learn = learn  # type: ignore[assignment, method-assign]


def behind_an_old_driver(base: Path) -> None:
    """A device file, and a PyTorch for CUDA that finds no GPU."""
    (base / "nvidia0").touch()
    gpu.DEVICES = base
    torch.version.cuda = "12.6"
    del os.environ["CUDA_VISIBLE_DEVICES"]


def roberta(base: Path) -> None:
    tiny_models.write_roberta(base / "input/data/pretrained")
    of_three_labels(base)


def gpt2(base: Path) -> None:
    tiny_models.write_gpt2(base / "input/data/pretrained")
    of_three_labels(base)


def served(name: str) -> dict[str, Any]:
    """What the model of a scenario says of difficult texts: together, and each alone."""
    model = classifier.load(HERE / name / "model")
    long = " ".join(2 * tiny_bert.WORDS)
    texts = ["", f"{tiny_bert.SIGNS['bad']} {long}", f"{long} {tiny_bert.SIGNS['bad']}", long, "unheard of"]
    return {
        "labels": model.labels,
        "together": model.predict(texts).tolist(),
        "alone": [model.predict([text])[0].tolist() for text in texts],
    }


def readable() -> dict[str, int]:
    """The tokens that architectures of the usual positions read."""
    size = {"vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1}
    configs = {
        "RoBERTa": transformers.RobertaConfig(**size, max_position_embeddings=514, num_hidden_layers=1),
        "MPNet": transformers.MPNetConfig(**size, max_position_embeddings=514, num_hidden_layers=1),
        "BERT": transformers.BertConfig(**size, max_position_embeddings=512, num_hidden_layers=1),
        "without positions": transformers.T5Config(vocab_size=8, d_model=8, d_kv=8, d_ff=8, num_layers=1),
        "any number of positions": transformers.XLNetConfig(
            vocab_size=8, d_model=8, d_inner=8, n_head=1, n_layer=1
        ),
    }
    return {name: tokenizer.positions(transformers.AutoModel.from_config(it)) for name, it in configs.items()}


def identities() -> list[str]:
    """Of trainings whose base models differ in a number that stands alone."""
    return [
        checkpoint.identity(Settings(), Rows(), {"scale": torch.tensor(scale), "none": torch.zeros(0)})
        for scale in (0.5, 0.5, 0.25)
    ]


SHORT = {"epochs": "1"}
SCENARIOS: dict[str, tuple[Mapping[str, str], Callable[[Path], None] | None]] = {
    "one pass a step": (SHORT, None),
    "many passes a step": (SHORT | {"tokens_per_pass": "64"}, None),
    "the same again": (SHORT, None),
    "another seed": (SHORT | {"seed": "2"}, None),
    "bfloat16": (SHORT | {"precision": "bfloat16"}, None),
    "early stopping": ({"epochs": "40", "patience": "2", "learning_rate": "0.03"}, None),
    "no patience": ({"epochs": "5", "patience": "0", "learning_rate": "0.03"}, None),
    "held out": (SHORT | {"validation_fraction": "0.25"}, without_validation),
    "nothing held out": (SHORT | {"validation_fraction": "0"}, without_validation),
    "without a pooler": (SHORT, without_a_pooler),
    "five epochs": ({"epochs": "5"}, None),
    "own archive": (SHORT | {"learning_rate": "0.0000001"}, own_archive),
    "damaged weights": (SHORT, damaged),
    "damaged tokenizer": (SHORT, of_no_tokens),
    "a layer missing": (SHORT, without_a_layer),
    "another shape": (SHORT, of_another_shape),
    "unknown kind": (SHORT, of_no_known_kind),
    "no network": (SHORT | {"base_model": "nobody/nothing"}, without_the_channel),
    "pickled checkpoint": (SHORT, pickled_checkpoint),
    "other checkpoint": (SHORT, other_checkpoint),
    "no numbers": (SHORT, of_no_numbers),
    "start kept": ({"keep": "start"}, signs_at_the_end),
    "end kept": ({"keep": "end"}, signs_at_the_end),
    "one label": (SHORT, of_one_label),
    "no padding": (SHORT, without_padding),
    "more tokens": (SHORT, of_more_tokens),
    "last token": (SHORT, of_last_tokens),
    # They change this process for good.
    "no such kernel": (SHORT, without_such_a_kernel),
    "old driver": (SHORT, behind_an_old_driver),
}
# With their graphs.
SERVED: dict[str, Callable[[Path], None]] = {"BERT": of_three_labels, "RoBERTa": roberta, "GPT-2": gpt2}

if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({"readable": readable(), "identities": identities()}))
    for name, prepare in SERVED.items():
        print(json.dumps({name: run(name, {}, prepare) | served(name)}), flush=True)
    onnx_graph.export = no_graph  # type: ignore[assignment]
    for name, (settings, change_job) in SCENARIOS.items():
        print(json.dumps({name: run(name, settings, change_job)}), flush=True)
