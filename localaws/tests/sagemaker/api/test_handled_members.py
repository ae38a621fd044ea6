"""Every member of a request is handled, accepted without effect, or rejected by name."""

from collections.abc import Callable, Collection
from typing import Any

import pytest

from localaws.sagemaker.api.errors import NotSupportedLocally
from localaws.sagemaker.api.members import refuse_others
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.hosting import endpoint_configs, endpoints, models
from localaws.sagemaker.jobs import processing, training, transform
from localaws.sagemaker.jobs.processing import ProcessingJobs
from localaws.sagemaker.jobs.training import TrainingJobs
from localaws.sagemaker.jobs.transform import TransformJobs
from localaws_tests.membership import check_members
from localaws_tests.serving import Account, small_account

KNOWN = ("Name", "Config.Source.Uri", "Items.Kind")


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"Other": 1}, "Other"),
        ({"Names": 1}, "Names"),
        ({"Config": {"Other": {"Uri": "u"}}}, "Config.Other"),
        ({"Config": {"Source": {"Uri": "u", "Other": {"Deep": 1}}}}, "Config.Source.Other"),
        ({"Items": [{"Kind": 1}, {"Kind": 2, "Other": [1]}]}, "Items.Other"),
    ],
)
def test_an_unknown_member_is_rejected_by_its_path(members: Document, named: str) -> None:
    with pytest.raises(NotSupportedLocally, match=f"^The member {named} is not supported locally$"):
        refuse_others({"Name": "a"} | members, KNOWN)


def test_known_and_empty_members_are_accepted() -> None:
    known: dict[str, Any] = {
        "Name": {"any": "nested", "members": "are known"},
        "Config": {"Source": {"Uri": "u", "Other": False}, "Other": {}},
        "Items": [{"Kind": 1}, {}],
        "Other": [],
    }
    refuse_others(known, KNOWN)


account = pytest.fixture(small_account)

Check = tuple[Callable[[Account], Callable[[Document], Any]], Collection[str], Collection[str]]
CHECKS: dict[str, Check] = {
    "CreateProcessingJob": (
        lambda account: ProcessingJobs(account.platform).check,
        processing.HANDLED,
        processing.WITHOUT_EFFECT,
    ),
    "CreateTrainingJob": (
        lambda account: TrainingJobs(account.platform).check,
        training.HANDLED,
        training.WITHOUT_EFFECT,
    ),
    "CreateTransformJob": (
        lambda account: TransformJobs(account.platform, account.models).check,
        transform.HANDLED,
        transform.WITHOUT_EFFECT,
    ),
    "CreateModel": (lambda account: account.models.create, models.HANDLED, models.WITHOUT_EFFECT),
    "CreateEndpointConfig": (
        lambda account: account.configs.create,
        endpoint_configs.HANDLED,
        endpoint_configs.WITHOUT_EFFECT,
    ),
    "CreateEndpoint": (
        lambda account: account.endpoints.create,
        {*endpoints.HANDLED} - {"RetainDeploymentConfig"},
        endpoints.WITHOUT_EFFECT,
    ),
    "UpdateEndpoint": (
        lambda account: account.endpoints.update,
        {*endpoints.HANDLED} - {"Tags"},
        endpoints.WITHOUT_EFFECT,
    ),
}


@pytest.mark.parametrize("operation", CHECKS)
def test_every_member_is_handled_without_effect_or_rejected(account: Account, operation: str) -> None:
    check, handled, without_effect = CHECKS[operation]
    check_members(check(account), operation, handled, without_effect)
