"""template.yaml as a document, parsed once per process."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from samcli.yamlhelper import intrinsics_multi_constructor

SOURCE = Path(__file__).parents[1] / "template.yaml"


class Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short intrinsic functions; the parser in C is ten times as fast."""


Loader.add_multi_constructor("!", intrinsics_multi_constructor)


@cache
def parsed() -> str:
    return json.dumps(yaml.load(SOURCE.read_text(), Loader))


def read_template() -> dict[str, Any]:
    """Return the template with its short intrinsic functions written in full."""
    document: dict[str, Any] = json.loads(parsed())
    return document
