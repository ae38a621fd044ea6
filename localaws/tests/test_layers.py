"""Lambda layers built from installed distributions."""

import io
import sys
import zipfile

import pytest

from localaws import layers
from localaws.testing import Laptop


def test_a_layer_has_the_distribution_and_its_extras_without_the_runtime_s_distributions() -> None:
    names = set(layers.closure("aws-lambda-powertools[tracer,parser]"))
    assert {"aws-lambda-powertools", "aws-xray-sdk", "pydantic", "pydantic-core", "jmespath"} <= names
    assert not names & {"boto3", "botocore"}


@pytest.mark.parametrize("prefix", [None, "/some/cache"])
def test_the_archive_is_below_python(monkeypatch: pytest.MonkeyPatch, prefix: str | None) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", prefix)
    archive = layers.build("aws-lambda-powertools[tracer]")
    members = zipfile.ZipFile(io.BytesIO(archive)).namelist()
    assert "python/aws_lambda_powertools/__init__.py" in members
    tag = sys.implementation.cache_tag
    assert f"python/aws_lambda_powertools/__pycache__/__init__.{tag}.pyc" in members
    assert not [member for member in members if ".." in member or not member.startswith("python/")]


def test_publishing_twice_creates_one_version(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", laptop.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it caches the credentials of its first use
    arn = layers.publish("jmespath", "/layers/jmespath")
    assert layers.publish("jmespath", "/layers/jmespath") == arn
    parameter = laptop.client("ssm").get_parameter(Name="/layers/jmespath")["Parameter"]
    assert parameter["Value"] == arn
