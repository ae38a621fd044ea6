"""What is refused before PyTorch is imported, which the development environment does not have."""

import io
import json
import tarfile
import zlib
from pathlib import Path

import pytest

from toolkit.errors import ContainerError, ModelError
from toolkit.hyperparameters import parse
from toolkit.job import Job
from transformer import pretrained
from transformer.launching import launch
from transformer.settings import Settings

WHOLE = {"config.json": '{"model_type": "bert"}', "model.safetensors": "", "tokenizer.json": "{}"}


class Case:
    """A job with a channel, as the container sees it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.channel = base / "input/data/pretrained"

    def put(self, files: dict[str, str]) -> None:
        self.channel.mkdir(parents=True)
        for name, content in files.items():
            (self.channel / name).write_text(content)

    def archive(self, member: tarfile.TarInfo, content: bytes = b"") -> None:
        self.channel.mkdir(parents=True)
        member.size = len(content)
        with tarfile.open(self.channel / "model.tar.gz", "w:gz") as tar:
            tar.addfile(member, io.BytesIO(content))

    def configure(self, **hyperparameters: str) -> None:
        folder = self.base / "input/config"
        folder.mkdir(parents=True)
        (folder / "hyperparameters.json").write_text(json.dumps(hyperparameters))

    def found(self) -> str:
        """The folder or name of the base model."""
        job = self.job()
        settings = parse(Settings, job.hyperparameters)
        with pretrained.base_model(job, settings) as base:
            return str(base.name)

    def job(self) -> Job:
        return Job(self.base)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_channel_wins_over_the_hub(case: Case) -> None:
    case.configure(base_model="some/model")
    assert case.found() == "some/model"
    case.put(WHOLE)
    assert case.found() == str(case.channel)


def test_archive_is_unpacked_until_it_is_of_no_more_use(case: Case) -> None:
    case.channel.mkdir(parents=True)
    with tarfile.open(case.channel / "model.tar.gz", "w:gz") as tar:
        for name, content in WHOLE.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content.encode()))
    found = Path(case.found())
    assert found != case.channel
    assert not found.exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"config.json": None},
            "has model.safetensors, tokenizer.json, but no config.json; give the folder that",
        ),
        ({"tokenizer.json": None}, "but no tokenizer.json; save a fast tokenizer"),
        (
            {"model.safetensors": None},
            "but no model.safetensors; other formats can hold code and are not read",
        ),
        (
            {"model.safetensors": None, "pytorch_model.bin": "pickle"},
            "has config.json, pytorch_model.bin, tokenizer.json, but no model.safetensors; other formats",
        ),
        ({"config.json": "{"}, "config.json of the channel pretrained is not JSON"),
        ({"config.json": "[]"}, "config.json of the channel pretrained has no model_type"),
        (
            {"config.json": '{"model_type": "x", "auto_map": {"AutoModel": "evil.Model"}}'},
            "requires running the model's own code",
        ),
        (dict.fromkeys(WHOLE), "the channel pretrained has no file, but no config.json"),
    ],
)
def test_bad_channel_is_refused(case: Case, changes: dict[str, str | None], reason: str) -> None:
    case.put({name: content for name, content in (WHOLE | changes).items() if content is not None})
    with pytest.raises(ModelError) as caught:
        case.found()
    assert reason in str(caught.value)


def outside() -> tarfile.TarInfo:
    return tarfile.TarInfo("../outside")


def link() -> tarfile.TarInfo:
    member = tarfile.TarInfo("config.json")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member


@pytest.mark.parametrize("member", [outside(), link()])
def test_archive_that_leads_elsewhere_is_refused(case: Case, member: tarfile.TarInfo) -> None:
    case.archive(member)
    with pytest.raises(ModelError, match=r"model\.tar\.gz of the channel pretrained cannot be unpacked"):
        case.found()


def broken_off() -> bytes:
    """An archive whose first file begins, then comes what is no compressed data."""
    member = tarfile.TarInfo("config.json")
    member.size = 1 << 20
    packed = zlib.compressobj(level=0, wbits=31)
    begun = packed.compress(member.tobuf() + bytes(100_000))
    return begun + packed.flush(zlib.Z_FULL_FLUSH) + b"\xff" * 100


@pytest.mark.parametrize("content", [b"nonsense", b"\x1f\x8b\x08\x00\x00\x00", broken_off()])
def test_damaged_archive_is_refused(case: Case, content: bytes) -> None:
    case.channel.mkdir(parents=True)
    (case.channel / "model.tar.gz").write_bytes(content)
    with pytest.raises(ModelError, match="cannot be unpacked"):
        case.found()


@pytest.mark.parametrize("name", ["/etc/passwd", "../model", "a/b/c", "", "s3://bucket/model"])
def test_base_model_is_a_name_and_no_path(case: Case, name: str) -> None:
    case.configure(base_model=name)
    with pytest.raises(ModelError, match="is not a name on the Hugging Face hub"):
        case.found()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("epoch", "2", "unknown hyperparameter 'epoch'; did you mean epochs?"),
        ("learning_rate", "0", "learning_rate must be a number from 1e-07 to 1, not '0'"),
        ("precision", "float16", "precision must be auto or bfloat16 or float32, not 'float16'"),
        ("processes", "-1", "processes must be a whole number from 0 to 64, not '-1'"),
        ("deterministic", "yes", "deterministic must be true or false, not 'yes'"),
    ],
)
def test_hyperparameters_are_checked_first(case: Case, name: str, value: str, reason: str) -> None:
    case.configure(**{name: value})
    with pytest.raises(ContainerError) as caught:
        launch(case.job())
    assert str(caught.value).startswith(reason)
