"""Find and load the base model: from the channel `pretrained`, else from the Hugging Face hub."""

import json
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from toolkit.errors import ModelError
from toolkit.job import Job
from transformer.settings import Settings
from transformer.tokenizer import prepare

CHANNEL = "pretrained"
ARCHIVE = "model.tar.gz"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class BaseModel:
    """The location of a base model.

    Attributes:
        name: A folder, or a name on the hub.
        revision: A branch, tag or commit on the hub; None for a folder.
    """

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        if self.revision is None:
            return f"the channel {CHANNEL}"
        return f"the base_model '{self.name}' at revision '{self.revision}'"


@contextmanager
def base_model(job: Job, settings: Settings) -> Iterator[BaseModel]:
    """Yield the job's base model; an archive is unpacked until the context ends.

    Raises:
        ModelError: The channel's files are not a model, or might contain code.
    """
    channel = job.channel(CHANNEL)
    if not channel.is_dir():
        if not HUB_NAME.fullmatch(settings.base_model):
            raise ModelError(
                f"base_model '{settings.base_model}' is not a name on the Hugging Face hub, such as "
                f"'distilbert/distilbert-base-uncased'; pass your own model in the channel {CHANNEL}"
            )
        yield BaseModel(settings.base_model, settings.base_model_revision)
    elif (channel / ARCHIVE).is_file():
        with TemporaryDirectory() as folder:
            unpack(channel / ARCHIVE, Path(folder))
            check(Path(folder))
            yield BaseModel(folder)
    else:
        check(channel)
        yield BaseModel(str(channel))


def unpack(archive: Path, folder: Path) -> None:
    """Unpack files and folders; refuse links and paths that leave the folder."""
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
        raise ModelError(f"{ARCHIVE} of the channel {CHANNEL} cannot be unpacked: {error}") from error


def check(folder: Path) -> None:
    """Refuse a folder that is not a model or needs its own code."""
    names = sorted(path.name for path in folder.iterdir())
    found = f"the channel {CHANNEL} has {', '.join(names[:10]) or 'no file'}"
    if "config.json" not in names:
        raise ModelError(f"{found}, but no config.json; give the folder that save_pretrained writes")
    if not set(WEIGHTS) & set(names):
        raise ModelError(
            f"{found}, but no model.safetensors; other formats can hold code and are not read: "
            "save the model with save_pretrained(folder, safe_serialization=True)"
        )
    if "tokenizer.json" not in names:
        raise ModelError(f"{found}, but no tokenizer.json; save a fast tokenizer beside the model")
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except ValueError as error:
        raise ModelError(f"config.json of the channel {CHANNEL} is not JSON: {error}") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise ModelError(f"config.json of the channel {CHANNEL} has no model_type")
    if "auto_map" in config:
        raise ModelError(
            f"config.json of the channel {CHANNEL} requires running the model's own code (auto_map); "
            "only architectures of the package transformers are loaded"
        )


def load(base: BaseModel, labels: list[str], settings: Settings) -> tuple[Any, Any]:
    """Load a model with a head for these labels, and its tokenizer.

    The head is new unless the base model has one for as many labels. Its initial weights come from torch's
    random generator: seed it before.

    Raises:
        ModelError: The model does not exist, its weights do not match its config.json, or its tokenizer does
            not match it.
    """
    # Imported here: the packages read HF_HUB_OFFLINE when they are imported.
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    source: dict[str, Any] = {"trust_remote_code": False, "local_files_only": base.revision is None}
    if base.revision is not None:
        source["revision"] = base.revision
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(base.name, **source)
        model, loaded = transformers.AutoModelForSequenceClassification.from_pretrained(
            base.name,
            id2label=dict(enumerate(labels)),
            label2id={label: place for place, label in enumerate(labels)},
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **source,
        )
    except MemoryError:
        raise
    except Exception as error:  # the Rust libraries raise plain Exception
        advice = "" if base.revision is None else f"; without a network use the channel {CHANNEL}"
        raise ModelError(f"{base} cannot be loaded: {error}{advice}") from error
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise ModelError(f"{base} has no fast tokenizer; choose one that has a tokenizer.json")
    refuse_new_weights(base, model, loaded)
    prepare(model, tokenizer, settings, str(base))
    return model, tokenizer


def refuse_new_weights(base: BaseModel, model: Any, loaded: dict[str, Any]) -> None:
    """Refuse missing weights of the body, except the pooler's, which pretraining may lack."""
    missing = {*loaded["missing_keys"], *(name for name, *_ in loaded["mismatched_keys"])}
    body = sorted(name for name in missing if name.startswith(f"{model.base_model_prefix}."))
    lacking = [name for name in body if ".pooler." not in name]
    if lacking:
        raise ModelError(
            f"the weights of {base} do not match its config.json: {len(lacking)} are missing or "
            f"of another shape, such as {lacking[0]}"
        )
