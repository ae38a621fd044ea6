"""The image `transformer` as jobs run it: processes in its own environment, a tiny model made here."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from localaws.runtimes.environments import Environments
from localaws.runtimes.process import ProcessRuntime
from tests.local.containers.conftest import Train
from tests.local.containers.transformer_jobs import (
    CONTAINERS,
    CSV,
    ENVIRONMENTS,
    PATIENCE,
    STEPS,
    WITHOUT_GPU,
    Running,
    after,
    classify,
    lay_out,
    request,
    rows,
    serving,
    weights,
)


@pytest.fixture(scope="module")
def unbroken(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Running:
    return train(lay_out(tmp_path_factory.mktemp("unbroken") / "ml"), **WITHOUT_GPU).finish()


def test_loss_falls_and_metrics_are_printed(unbroken: Running) -> None:
    losses = unbroken.metric("train:loss")
    assert len(losses) == STEPS
    assert np.mean(losses[-5:]) < 0.2 < 0.6 < np.mean(losses[:5])
    assert unbroken.metric("validation:accuracy")[-1] > 0.95
    assert unbroken.metric("validation:log_loss")[-1] == min(unbroken.metric("validation:log_loss"))
    assert min(unbroken.metric("train:tokens_per_second")) > 0


def test_base_model_comes_from_the_channel_without_a_network(unbroken: Running) -> None:
    assert "the channel pretrained; labels: bad, fine; 1 process(es) on cpu" in unbroken.output
    assert {path.name for path in (unbroken.base / "model").iterdir()} == {
        "config.json", "model.onnx", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    config = (unbroken.base / "model/config.json").read_text()
    assert json.loads(config)["id2label"] == {"0": "bad", "1": "fine"}
    assert str(unbroken.base) not in config
    assert not list((unbroken.base / "checkpoints").rglob("*.pt"))


def test_training_interrupted_by_sigterm_ends_as_the_unbroken_one(
    unbroken: Running, train: Train, tmp_path: Path
) -> None:
    middle = "train:step=13;"  # of an epoch
    first = train(lay_out(tmp_path / "first"), until=middle, **WITHOUT_GPU)
    first.interrupt()
    assert "interrupted: saved a checkpoint after step" in first.output
    assert not (first.base / "model").exists() or not list((first.base / "model").iterdir())

    second = train(after(first.base, tmp_path / "second"), **WITHOUT_GPU).finish()
    steps = first.metric("train:step") + second.metric("train:step")
    assert steps == list(range(1, STEPS + 1))
    assert first.metric("train:loss") + second.metric("train:loss") == unbroken.metric("train:loss")
    assert second.metric("validation:log_loss")[-1] == unbroken.metric("validation:log_loss")[-1]
    assert weights(second.base) == weights(unbroken.base)


def test_processes_and_instances_learn_what_one_process_learns(
    unbroken: Running, train: Train, tmp_path: Path
) -> None:
    """Two processes on one instance; interrupted; then two instances of a process each."""
    # tokens_per_pass makes each process need several passes a step.
    base = lay_out(tmp_path / "first", processes="2", tokens_per_pass="128")
    first = train(base, until="train:step=8;", **WITHOUT_GPU)
    assert first.addresses() == {"127.0.0.1"}
    first.interrupt()
    assert "2 process(es) on cpu" in first.output

    hosts = ["127.0.0.1", "127.0.0.2"]
    instances = []
    for host in hosts:
        base = after(first.base, tmp_path / host, processes="1")
        resources = {"current_host": host, "hosts": hosts, "network_interface_name": "lo"}
        (base / "input/config/resourceconfig.json").write_text(json.dumps(resources))
        instances.append(train(base, **WITHOUT_GPU))
    instances[0].wait_for("train:step=")
    assert instances[0].addresses() == {"127.0.0.1"}
    leader, follower = [each.finish() for each in instances]
    losses = first.metric("train:loss") + leader.metric("train:loss")
    assert losses == pytest.approx(unbroken.metric("train:loss"), abs=1e-4)
    assert leader.metric("validation:log_loss")[-1] == pytest.approx(
        unbroken.metric("validation:log_loss")[-1], abs=1e-4
    )
    assert (leader.base / "model/model.onnx").exists()
    assert not list((follower.base / "model").glob("*"))  # one instance writes the model


def test_an_evaluation_that_is_interrupted_is_made_by_the_next_process(train: Train, tmp_path: Path) -> None:
    """It takes seconds here, by passes of two rows, and could take longer than SageMaker waits."""
    more = "".join(json.dumps(row) + "\n" for row in rows(4000, 5))
    settings = {"epochs": "2", "tokens_per_pass": "64"}

    def job(name: str, earlier: Path | None = None) -> Path:
        base = tmp_path / name
        lay_out(base, **settings) if earlier is None else after(earlier, base, **settings)
        with (base / "input/data/validation/rows.jsonl").open("a") as file:
            file.write(more)
        return base

    unbroken = train(job("unbroken"), **WITHOUT_GPU).finish()
    first = train(job("first"), **WITHOUT_GPU)
    first.wait_for("train:step=10;")  # after which comes an evaluation
    first.interrupt()
    assert "interrupted: saved a checkpoint after step 10 of 20" in first.output
    assert not first.metric("validation:step")
    second = train(job("second", first.base), **WITHOUT_GPU).finish()
    assert second.metric("validation:step") == unbroken.metric("validation:step")
    assert second.metric("validation:log_loss") == unbroken.metric("validation:log_loss")
    assert weights(second.base) == weights(unbroken.base)


def test_instances_that_have_other_rows_than_each_other_are_refused(train: Train, tmp_path: Path) -> None:
    """As with S3DataDistributionType=ShardedByS3Key."""
    hosts = ["127.0.0.1", "127.0.0.2"]
    instances = []
    for number, host in enumerate(hosts):
        base = lay_out(tmp_path / host)
        resources = {"current_host": host, "hosts": hosts, "network_interface_name": "lo"}
        (base / "input/config/resourceconfig.json").write_text(json.dumps(resources))
        with (base / "input/data/train/rows.jsonl").open("a") as file:
            file.write(json.dumps({"text": "another", "label": ["fine", "other"][number]}) + "\n")
        instances.append(train(base, **WITHOUT_GPU))
    for instance in instances:
        assert instance.container.wait(PATIENCE) == 1, instance.output
        assert "an S3DataDistributionType of FullyReplicated" in instance.output


@pytest.fixture(scope="module")
def port(unbroken: Running, runtime: ProcessRuntime) -> Iterator[int]:
    with serving(runtime, unbroken.base, **WITHOUT_GPU) as port:
        yield port


def test_served_model_is_as_good_as_it_was_measured(port: int, unbroken: Running) -> None:
    texts = rows(80, 2)
    actual = [each[row["label"]] for each, row in zip(classify(port, texts), texts, strict=True)]
    assert np.mean(-np.log(actual)) == pytest.approx(unbroken.metric("validation:log_loss")[-1], abs=1e-4)


def test_json_and_csv_are_answered(port: int) -> None:
    status, answer = request(port, "POST", "/invocations", json.dumps({"text": "lovely word1"}).encode())
    one = json.loads(answer)
    assert (status, one["label"]) == (200, "fine")
    assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    status, answer = request(port, "POST", "/invocations", b"dreadful word2\nlovely word3\n", CSV)
    assert [line.partition(",")[0] for line in answer.splitlines()] == ["bad", "fine"]
    status, answer = request(port, "POST", "/invocations", b'{"texts": 1}')
    assert status == 400


def test_requests_at_the_same_time_get_their_own_answers(port: int) -> None:
    texts = rows(40, 3)
    alone = [request(port, "POST", "/invocations", json.dumps(row["text"]).encode())[1] for row in texts]
    with ThreadPoolExecutor(16) as threads:
        together = list(
            threads.map(
                lambda row: request(port, "POST", "/invocations", json.dumps(row["text"]).encode())[1], texts
            )
        )
    for one, other in zip(alone, together, strict=True):
        assert json.loads(one)["label"] == json.loads(other)["label"]
        assert json.loads(one)["probabilities"] == pytest.approx(json.loads(other)["probabilities"], abs=1e-4)


@pytest.fixture(scope="module")
def outcomes(runtime: ProcessRuntime, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of each of the scenarios."""
    here = tmp_path_factory.mktemp("scenarios")
    lay_out(here / "job")
    python = Environments(ENVIRONMENTS).make(CONTAINERS / "transformer") / "bin/python"
    script = Path(__file__).with_name("transformer_scenarios.py")
    done = subprocess.run(
        [python, "-B", script, here],
        env={
            **WITHOUT_GPU,
            "PATH": os.environ["PATH"],
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": f"{CONTAINERS / 'transformer'}",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    merged: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            merged |= json.loads(line)
    return merged


def metric(outcome: dict[str, Any], name: str) -> list[float]:
    assert "error" not in outcome, outcome
    return [float(value) for value in re.findall(rf"{name}=([0-9.]+);", "\n".join(outcome["log"]))]


def test_passes_of_a_step_add_up_to_one(outcomes: dict[str, Any]) -> None:
    whole, parts = (
        metric(outcomes[name], "train:loss") for name in ("one pass a step", "many passes a step")
    )
    assert len(whole) == STEPS / 5
    assert parts == pytest.approx(whole, abs=1e-5)


def test_same_seed_gives_the_same_weights(outcomes: dict[str, Any]) -> None:
    first, again, other = (
        Path(outcomes[name]["weights"]).read_bytes()
        for name in ("one pass a step", "the same again", "another seed")
    )
    assert first == again != other


def test_bfloat16_learns_about_the_same(outcomes: dict[str, Any]) -> None:
    exact, rounded = (metric(outcomes[name], "train:loss") for name in ("one pass a step", "bfloat16"))
    assert exact != rounded
    assert rounded == pytest.approx(exact, abs=0.05)


def test_training_stops_early_with_the_best_weights(outcomes: dict[str, Any]) -> None:
    losses = metric(outcomes["early stopping"], "validation:log_loss")
    evaluated, saved = losses[:-1], losses[-1]
    assert len(evaluated) < 40
    assert saved == min(evaluated) == evaluated[-3]
    assert len(metric(outcomes["no patience"], "validation:log_loss")) == 5 + 1


def test_rows_are_held_out_where_no_channel_has_any(outcomes: dict[str, Any]) -> None:
    assert "240 rows to learn from, 80 held out" in outcomes["held out"]["log"]
    assert metric(outcomes["nothing held out"], "validation:log_loss") == []
    assert Path(outcomes["nothing held out"]["weights"]).exists()


def test_base_model_without_a_pooler_gets_a_new_one(outcomes: dict[str, Any]) -> None:
    assert metric(outcomes["without a pooler"], "validation:accuracy")


def test_archive_of_an_own_model_is_taken_with_its_head(outcomes: dict[str, Any]) -> None:
    first, again = (metric(outcomes[name], "validation:log_loss") for name in ("five epochs", "own archive"))
    assert again[-1] == pytest.approx(first[-1], abs=1e-4)
    assert first[-1] < 0.6


@pytest.mark.parametrize("scenario", ["BERT", "RoBERTa", "GPT-2"])
def test_texts_of_any_length_and_three_labels_are_learned_and_served(
    outcomes: dict[str, Any], scenario: str
) -> None:
    """RoBERTa reads fewer tokens than it has positions; GPT-2 has neither a padding token nor a [CLS]."""
    assert metric(outcomes[scenario], "validation:accuracy")[-1] > 0.6  # the most frequent label: 0.34
    assert outcomes[scenario]["labels"] == ["bad", "fine", "other"]
    together, alone = (np.array(outcomes[scenario][name]) for name in ("together", "alone"))
    assert together.shape == (5, 3)
    assert together.sum(axis=1) == pytest.approx(1)
    assert together == pytest.approx(alone, abs=1e-5)
    empty, sign_first, sign_last, without, _ = together
    assert empty.argmax() == 2
    assert sign_first[0] > without[0] + 0.02
    assert sign_last == pytest.approx(without, abs=1e-5)  # beyond what is read


def test_end_of_a_long_text_is_read_where_it_is_kept(outcomes: dict[str, Any]) -> None:
    assert metric(outcomes["end kept"], "validation:accuracy")[-1] == 1
    assert metric(outcomes["start kept"], "validation:accuracy")[-1] == 0.5
    saved = Path(outcomes["end kept"]["weights"]).with_name("tokenizer.json")
    assert json.loads(saved.read_text())["truncation"]["direction"] == "Left"


def test_positions_that_no_text_can_have_are_not_counted(outcomes: dict[str, Any]) -> None:
    """RoBERTa and MPNet have 514, of which the padding and what is before it take two."""
    readable = outcomes["readable"]
    assert [readable[name] for name in ("RoBERTa", "MPNet", "BERT")] == [512, 512, 512]
    assert readable["without positions"] == readable["any number of positions"] > 1_000_000


def test_scalar_weights_change_the_identity(outcomes: dict[str, Any]) -> None:
    first, same, other = outcomes["identities"]
    assert first == same != other


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("damaged weights", "the channel pretrained cannot be loaded: Error while deserializing header"),
        ("damaged tokenizer", "the channel pretrained cannot be loaded: "),
        (
            "a layer missing",
            r"do not match its config.json: 16 are missing .*, such as bert\.encoder\.layer\.1",
        ),
        (
            "another shape",
            "do not match its config.json: 1 are missing or of another shape, such as bert.embeddings",
        ),
        ("unknown kind", "the channel pretrained cannot be loaded: .*no-such-kind"),
        ("no network", "'nobody/nothing' at revision 'main' cannot be loaded: .*use the channel pretrained"),
        (
            "pickled checkpoint",
            "the checkpoint checkpoint.pt cannot be read: .*empty the job's checkpoint folder",
        ),
        ("other checkpoint", "belongs to a training with other rows, hyperparameters or base model; empty"),
        ("no numbers", "the loss is nan at step 1; lower learning_rate"),
        ("one label", "all 320 rows have the label 'fine'; two are needed"),
        ("no padding", "neither a pad_token nor an eos_token .*; name one of its tokens as pad_token in"),
        ("more tokens", "has the token 'beyond' as number 46, but the model only those below 46; give the"),
        ("last token", r"\(bert\) classifies by the last token, which is padding here; choose an"),
        (
            "no such kernel",
            "put_.* does not have a deterministic .* Set deterministic=false",
        ),
        ("old driver", "has a GPU, which PyTorch for CUDA 12.6 cannot use: .*or hide it with CUDA_VISIBLE"),
    ],
)
def test_error_says_what_is_wrong(outcomes: dict[str, Any], scenario: str, reason: str) -> None:
    assert re.search(reason, outcomes[scenario]["error"], re.DOTALL), outcomes[scenario]
