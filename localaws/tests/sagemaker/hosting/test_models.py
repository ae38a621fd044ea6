from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException
from localaws_tests.serving import ACCOUNT, BUCKET, IMAGE, REGION, ROLE, Account, small_account

account = pytest.fixture(small_account)

ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/small"


def register(account: Account, approval: str, **members: Any) -> str:
    uri = account.put_model_data("package/model.tar.gz", version="packaged")
    container = {
        "Image": IMAGE,
        "ModelDataUrl": uri,
        "Environment": {"A": "package", "B": "package"},
        **members,
    }
    account.registry.create_group({"ModelPackageGroupName": "group"})
    arn: str = account.registry.create(
        {
            "ModelPackageGroupName": "group",
            "ModelApprovalStatus": approval,
            "InferenceSpecification": {"Containers": [container]},
        }
    )["ModelPackageArn"]
    return arn


def create(account: Account, **members: Any) -> None:
    account.models.create({"ModelName": "small", "ExecutionRoleArn": ROLE, **members})


def test_a_model_is_described_listed_and_deleted(account: Account) -> None:
    account.create_model("Small")
    described = account.models.describe({"ModelName": "Small"})
    assert described["ModelArn"] == ARN
    assert described["PrimaryContainer"]["Image"] == IMAGE
    assert [model["ModelName"] for model in account.models.list({})["Models"]] == ["Small"]
    account.models.delete({"ModelName": "Small"})
    assert account.models.list({})["Models"] == []


@pytest.mark.parametrize("operation", ["describe", "delete"])
def test_a_missing_model(account: Account, operation: str) -> None:
    with pytest.raises(ValidationException) as error:
        getattr(account.models, operation)({"ModelName": "small"})
    assert error.value.message == f'Could not find model "{ARN}".'


def test_a_model_name_is_unique(account: Account) -> None:
    account.create_model("small")
    with pytest.raises(ValidationException, match=f'^Cannot create already existing model "{ARN}".$'):
        account.create_model("small")


def test_the_model_data_must_exist(account: Account) -> None:
    uri = f"s3://{BUCKET}/nothing.tar.gz"
    with pytest.raises(ValidationException, match=f"^Could not find model data at {uri}.$"):
        create(account, PrimaryContainer={"Image": IMAGE, "ModelDataUrl": uri})


def test_the_role_must_be_allowed_to_read_the_model_data(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**request: Any) -> None:
        answer: Any = {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(answer, "HeadObject")

    monkeypatch.setattr(account.sessions.client("s3"), "head_object", refuse)
    with pytest.raises(ValidationException, match=rf'Could not access model data at .*"{ROLE}" exists'):
        account.create_model("small")
    assert account.sessions.roles[-1] == ("s3", ROLE)


def test_a_model_of_an_approved_package(account: Account) -> None:
    arn = register(account, "Approved")
    create(account, Containers=[{"ModelPackageName": arn, "Environment": {"B": "model"}}])
    assert account.models.get("small")["_Container"] == {
        "Image": IMAGE,
        "ModelDataUrl": f"s3://{BUCKET}/package/model.tar.gz",
        "Environment": {"A": "package", "B": "model"},
    }
    assert account.models.describe({"ModelName": "small"})["Containers"][0]["ModelPackageName"] == arn


@pytest.mark.parametrize("approval", ["PendingManualApproval", "Rejected"])
def test_a_package_must_be_approved(account: Account, approval: str) -> None:
    arn = register(account, approval)
    with pytest.raises(ValidationException, match=rf"{arn} cannot be deployed: .* is {approval}"):
        create(account, PrimaryContainer={"ModelPackageName": arn})


def test_descriptive_members_of_a_package_s_container_are_accepted(account: Account) -> None:
    members = {
        "ContainerHostname": "host",
        "Framework": "SKLEARN",
        "FrameworkVersion": "1.5",
        "ModelInput": {},
    }
    arn = register(account, "Approved", **members)
    create(account, PrimaryContainer={"ModelPackageName": arn})
    assert account.models.get("small")["_Container"]["Image"] == IMAGE


@pytest.mark.parametrize("member", ["AdditionalS3DataSource", "AdditionalModelDataSources"])
def test_unsupported_members_of_a_package_s_container_are_rejected(account: Account, member: str) -> None:
    arn = register(account, "Approved", **{member: {"S3Uri": f"s3://{BUCKET}/more"}})
    with pytest.raises(NotSupportedLocally, match=f"^The member {member} is not"):
        create(account, PrimaryContainer={"ModelPackageName": arn})


def test_an_archive_as_a_data_source(account: Account) -> None:
    uri = account.put_model_data("source.tar.gz", version="1")
    source = {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "Gzip"}
    create(account, PrimaryContainer={"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}})
    assert account.models.get("small")["_Container"]["ModelDataUrl"] == uri


CONTAINER = {"Image": IMAGE}
UNPACKED = {"S3DataSource": {"S3Uri": "s3://b/p/", "S3DataType": "S3Prefix", "CompressionType": "None"}}


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"Containers": [CONTAINER, CONTAINER]}, "A model with 2 containers instead of one"),
        ({"PrimaryContainer": CONTAINER, "VpcConfig": {"Subnets": ["s"]}}, "The member VpcConfig"),
        ({"PrimaryContainer": CONTAINER, "EnableNetworkIsolation": True}, "The member EnableNetworkIsol"),
        (
            {"PrimaryContainer": {**CONTAINER, "Mode": "MultiModel"}},
            "The value MultiModel of PrimaryContainer.Mode",
        ),
        ({"PrimaryContainer": {**CONTAINER, "ModelDataSource": UNPACKED}}, "A ModelDataSource that is not"),
        (
            {"PrimaryContainer": {**CONTAINER, "ImageConfig": {"RepositoryAccessMode": "Vpc"}}},
            "The member PrimaryContainer.ImageConfig",
        ),
        (
            {"Containers": [{"ModelPackageName": "p", "MultiModelConfig": {"ModelCacheSetting": "Enabled"}}]},
            "The member Containers.MultiModelConfig",
        ),
    ],
)
def test_unsupported_members_are_rejected(account: Account, members: Any, what: str) -> None:
    with pytest.raises(NotSupportedLocally, match=f"{what}.* is not supported locally$"):
        create(account, **members)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"PrimaryContainer": CONTAINER, "Containers": [CONTAINER]},
        {"PrimaryContainer": {}},
        {"PrimaryContainer": {"Image": IMAGE, "ModelPackageName": "p"}},
        {"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "https://b.s3.amazonaws.com/k"}},
        {"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "s3://bucket"}},
    ],
)
def test_a_model_has_one_container(account: Account, members: Any) -> None:
    with pytest.raises(ValidationException):
        create(account, **members)


def test_a_model_without_data_or_role(account: Account) -> None:
    create(account, PrimaryContainer=CONTAINER)
    with pytest.raises(ValidationException, match="needs an ExecutionRoleArn"):
        account.models.create({"ModelName": "roleless", "PrimaryContainer": CONTAINER})
