#!/usr/bin/env bash
# In the Data Science SDK, a Choice in the middle of a Chain takes the step that follows as its default. It does so
# too where default_choice() has set one: `Chain([gate, deploy])` makes of "else reject" an "else deploy", and the
# state that rejects is not in the machine at all. A line in the log is all that tells; the definition is valid, so
# a model that the gate turns down goes live. The class's description names the default in a chain, not that an
# explicit one goes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check setuptools==80.10.2 sagemaker==2.257.7 stepfunctions==2.3.0
venv/bin/python - <<'PYTHON'
import logging
import sys
import warnings
from importlib.metadata import version as version_of

warnings.simplefilter("ignore")
logging.disable(logging.INFO)

from stepfunctions import steps
from stepfunctions.steps.choice_rule import ChoiceRule
from stepfunctions.steps.states import Graph

gate = steps.Choice("GoodEnough")
gate.add_choice(ChoiceRule.BooleanEquals("$.better", True), steps.Pass("Register"))
gate.default_choice(steps.Fail("Reject"))
machine = Graph(steps.Chain([gate, steps.Pass("Deploy")])).to_dict()

version = f"stepfunctions {version_of('stepfunctions')}"
expected = "Reject", ["Deploy", "GoodEnough", "Register", "Reject"]
seen = machine["States"]["GoodEnough"]["Default"], sorted(machine["States"])
documented = "Deploy", ["Deploy", "GoodEnough", "Register"]
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
