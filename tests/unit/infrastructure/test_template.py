import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session

from pipeline import settings
from tests.template import SOURCE as TEMPLATE_FILE
from tests.template import read_template

ROOT = Path(__file__).parents[3]
SOURCE = TEMPLATE_FILE.read_text()
TEMPLATE = read_template()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
DEFINITION = (ROOT / "statemachine" / "rendered" / "retrain.asl.json").read_text()
FUNCTIONS = {name: item for name, item in RESOURCES.items() if item["Type"] == "AWS::Serverless::Function"}
ROLES = {name: item for name, item in RESOURCES.items() if item["Type"] == "AWS::IAM::Role"}
CODE: Path = ROOT / TEMPLATE["Globals"]["Function"]["CodeUri"]
MANAGED: dict[str, list[dict[str, Any]]] = {
    name: item["Properties"]["PolicyDocument"]["Statement"]
    for name, item in RESOURCES.items()
    if item["Type"] == "AWS::IAM::ManagedPolicy"
}
IAM_SERVICES = {"sfn": "states"}


class NoManagedPolicies:
    """What the translator asks IAM for, were a managed policy named somewhere."""

    def load(self) -> dict[str, str]:
        return {}


def folder_of(function: str) -> Path:
    handler: str = FUNCTIONS[function]["Properties"]["Handler"]
    return CODE / handler.partition(".")[0]


def code(function: str) -> str:
    """A function's own modules, and those of `shared` that they import."""
    own = "".join(path.read_text() for path in sorted(folder_of(function).glob("*.py")))
    imported = set(re.findall(r"^from shared\.(\w+) import", own, re.M))
    shared = [(CODE / "shared" / f"{name}.py").read_text() for name in sorted(imported)]
    return own + "".join(shared)


def statements(role: str) -> Iterator[dict[str, Any]]:
    """What a role's own policies and the template's managed policies that it names allow."""
    properties = ROLES[role]["Properties"]
    for policy in properties["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]
    for managed in properties.get("ManagedPolicyArns", []):
        yield from MANAGED[managed["Ref"]]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(role: str) -> set[str]:
    return {action for statement in statements(role) for action in as_list(statement["Action"])}


def test_the_transformed_template_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # Imported here: they take seconds to import, and every worker imports every test module.
    from cfnlint.api import ManualArgs, lint  # type: ignore[import-untyped]
    from samtranslator.translator.transform import transform  # type: ignore[import-untyped]

    template = read_template()
    for pipeline in ("Pipeline", "TuningPipeline"):
        properties = template["Resources"][pipeline]["Properties"]
        include = properties["PipelineDefinition"].pop("Fn::Transform")
        properties["PipelineDefinition"] = read_include(include)
    template["Mappings"] = read_include(template["Mappings"]["Fn::Transform"])
    uploading = [resource["Properties"] for resource in template["Resources"].values()]
    for properties in [*uploading, template["Globals"]["Function"]]:  # `sam deploy` uploads what these name
        for name in ("CodeUri", "ContentUri", "DefinitionUri"):
            if name in properties:
                assert (ROOT / properties[name]).exists()
                properties[name] = "s3://bucket/key"
    transformed = transform(template, {}, NoManagedPolicies())
    assert {item["Type"] for item in transformed["Resources"].values()} >= {
        "AWS::StepFunctions::StateMachine",
        "AWS::Events::Rule",
        "AWS::Lambda::Function",
    }
    transformed["Transform"] = "AWS::LanguageExtensions"  # the translator's own takes the other one with it
    assert [
        str(match) for match in lint(json.dumps(transformed), config=ManualArgs(regions=["us-east-1"]))
    ] == []


def read_include(include: dict[str, Any]) -> Any:
    assert include["Name"] == "AWS::Include"
    return json.loads((ROOT / include["Parameters"]["Location"]).read_text())


def test_substitutions_are_those_of_the_definition() -> None:
    given = RESOURCES["Workflow"]["Properties"]["DefinitionSubstitutions"]
    assert given.keys() == set(re.findall(r"\$\{(\w+)\}", DEFINITION))


def test_the_workflow_may_do_what_it_does_and_no_more() -> None:
    called = set()
    for service, action in re.findall(r'"arn:\${Partition}:states:::aws-sdk:(\w+):(\w+)"', DEFINITION):
        called.add(f"{IAM_SERVICES.get(service, service)}:{action[0].upper()}{action[1:]}")
    granted = {action for action in actions("StateMachineRole") if not action.startswith(("logs:", "xray:"))}
    needed = {"lambda:InvokeFunction", "iam:PassRole", "sagemaker:DescribeModelPackage"}
    assert granted == called | needed


def test_the_registration_may_look_up_the_image_and_what_is_missing() -> None:
    [images] = [item for item in statements("PipelineRole") if "ecr:BatchGetImage" in as_list(item["Action"])]
    repositories = "arn:${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}:repository/*"
    assert images["Action"] == ["ecr:BatchGetImage", "ecr:DescribeImages"]
    assert images["Resource"] == {"Fn::Sub": repositories}
    [listed] = [item for item in statements("PipelineRole") if item["Action"] == "s3:ListBucket"]
    assert listed["Condition"] == {"StringLike": {"s3:prefix": ["runs/*"]}}


def test_a_model_may_be_created_from_its_package() -> None:
    package = "model-package/${AWS::StackName}-models/*"
    allowed = {
        action
        for statement in statements("StateMachineRole")
        for action in as_list(statement["Action"])
        if package in json.dumps(statement["Resource"])
    }
    assert allowed >= {"sagemaker:CreateModel", "sagemaker:DescribeModelPackage"}


def test_a_batch_of_records_needs_leave_for_the_batch_and_for_its_records() -> None:
    """AWS asks for both (Feature Store, security and access control)."""
    [statement] = [item for item in statements("ProcessingRole") if "-records" in str(item["Resource"])]
    actions = ["sagemaker:BatchWriteRecord", "sagemaker:PutRecord", "sagemaker:DeleteRecord"]
    assert statement["Action"] == actions


def test_athena_may_look_at_the_default_database() -> None:
    """Without GetDatabase and CreateDatabase there, Athena and Glue do not work together."""
    [statement] = [
        item for item in statements("ProcessingRole") if "database/default" in str(item["Resource"])
    ]
    assert {"glue:GetDatabase", "glue:CreateDatabase"} <= set(statement["Action"])


@pytest.mark.parametrize("function", ["EstimateCost", "JudgeModel", "ExplainFailure", "UpdateLedger"])
def test_functions_may_ask_sagemaker_for_what_their_code_asks_for(function: str) -> None:
    source = code(function)
    called = re.findall(r"sagemaker\.(describe_\w+)\(", source)
    called += re.findall(r"sagemaker\.get_paginator\(\"(\w+)\"\)", source)
    granted = {action for action in actions(f"{function}Role") if action.startswith("sagemaker:")}
    assert granted == {f"sagemaker:{name.replace('_', ' ').title().replace(' ', '')}" for name in called}


def test_the_images_function_may_do_what_its_code_does_and_no_more() -> None:
    source = code("ProvideImages")
    called = {
        f"{service}:{name.replace('_', ' ').title().replace(' ', '')}"
        for service, name in re.findall(r"\b_?(codebuild|dynamodb|ecr)\.(\w+)\(", source)
    }
    granted = {item for item in actions("ProvideImagesRole") if not item.startswith(("logs:", "xray:"))}
    assert granted == called
    [table] = [item for item in statements("ProvideImagesRole") if "dynamodb:PutItem" in item["Action"]]
    assert table["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["BUILD"]}}


def test_images_are_scanned_kept_and_never_move() -> None:
    for name in ("ProcessingRepository", "ModelRepository"):
        repository = RESOURCES[name]
        properties = repository["Properties"]
        assert repository["DeletionPolicy"] == "RetainExceptOnCreate"
        assert properties["ImageTagMutability"] == "IMMUTABLE"
        assert properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
        # A name that stays with a repository that stays would be in the next one's way.
        assert not {"RepositoryName", "LifecyclePolicy"} & properties.keys()


def test_what_uses_images_waits_for_them_and_they_for_word_of_their_build() -> None:
    images = RESOURCES["Images"]
    requested = {item["Fn::If"][2]["Name"] for item in images["Properties"]["Images"]}
    assert requested == {"Processing", "Model"}
    for pipeline in ("Pipeline", "TuningPipeline"):
        included = read_include(RESOURCES[pipeline]["Properties"]["PipelineDefinition"]["Fn::Transform"])
        body, values = included["PipelineDefinitionBody"]["Fn::Sub"]
        for name in requested:
            assert f"${{{name}Image}}" in body
            chosen = values[f"{name}Image"]["Fn::If"]
            assert chosen[:2] == [f"Has{name}Image", {"Ref": f"{name}ImageUri"}]
            assert chosen[2]["Fn::If"][:2] == ["BuildsImages", {"Fn::GetAtt": ["Images", f"{name}Uri"]}]
    # So the workflow changes after the pipelines, and these after the images.
    variables = RESOURCES["PlanRun"]["Properties"]["Environment"]["Variables"]
    assert variables["PIPELINE_NAME"] == {"Ref": "Pipeline"}
    assert variables["TUNING_PIPELINE_NAME"] == {"Fn::If": ["CanTune", {"Ref": "TuningPipeline"}, ""]}
    substitutions = RESOURCES["Workflow"]["Properties"]["DefinitionSubstitutions"]
    assert substitutions["PlanRunArn"] == {"Fn::GetAtt": ["PlanRun", "Arn"]}
    rule = RESOURCES["BuildEnded"]["Properties"]
    assert rule["EventPattern"]["detail"]["project-name"] == [{"Ref": "ImageBuilder"}]
    assert rule["Targets"] == [{"Id": "ProvideImages", "Arn": images["Properties"]["ServiceToken"]}]
    # Of the template's own: with AWS::LanguageExtensions, nothing may depend on what SAM is yet to make.
    assert images["DependsOn"] == ["BuildEnded", "BuildEndedPermission"]
    assert set(images["DependsOn"]) <= RESOURCES.keys()


def test_a_build_ends_before_its_stack_gives_up() -> None:
    builder = RESOURCES["ImageBuilder"]["Properties"]
    minutes = builder["TimeoutInMinutes"] + builder["QueuedTimeoutInMinutes"]
    assert minutes * 60 < RESOURCES["Images"]["Properties"]["ServiceTimeout"] <= 3600


def test_without_builds_nothing_of_them_is_there() -> None:
    """Nor is it on the laptop, which runs the folders themselves."""
    conditional = {name for name, item in RESOURCES.items() if item.get("Condition") == "BuildsImages"}
    builders = {name for name in RESOURCES if re.search("Image|Repository|ContainersSource|BuildEnded", name)}
    assert conditional == builders
    local = tomllib.loads((ROOT / "samconfig.toml").read_text())["local"]["deploy"]["parameters"]
    assert "BuildImages=false" in local["parameter_overrides"].split()


@pytest.mark.parametrize("name", ["linear", "my-model_2", "a.b", "", "Linear", "a/b", "-x", "a--b", "a b"])
def test_the_containers_name_is_what_a_repository_takes(name: str) -> None:
    allowed = re.fullmatch(TEMPLATE["Parameters"]["ModelContainer"]["AllowedPattern"], name)
    shape = get_session().get_service_model("ecr").shape_for("RepositoryName")
    assert not allowed or re.fullmatch(shape.metadata["pattern"], f"retrain/{name}")
    assert bool(allowed) == (name in ("linear", "my-model_2", "a.b"))


@pytest.mark.parametrize(
    "version", ["unversioned", "1f2e3d4", "v1.2-3-g1f2e3d4+dirty", "a b", 'a"b', "a#b", ""]
)
def test_the_code_version_is_what_the_registry_takes(version: str) -> None:
    """A model package's metadata takes letters, digits and _.:/=+-@; a quote would break the workflow too."""
    allowed = re.fullmatch(TEMPLATE["Parameters"]["CodeVersion"]["AllowedPattern"], version)
    assert bool(allowed) == bool(re.fullmatch(r"[\w.:/=+\-@]+", version))


def test_every_partition_is_left_to_the_account() -> None:
    assert "arn:aws" not in SOURCE + DEFINITION


@pytest.mark.parametrize("seconds", ["0", "2", "30", "9999", "030", "00", "", "-1", "10000"])
def test_the_settle_time_is_a_number_as_json_writes_it(seconds: str) -> None:
    allowed = re.fullmatch(TEMPLATE["Parameters"]["SettleSeconds"]["AllowedPattern"], seconds)
    try:
        number = json.loads(seconds)
    except ValueError:
        number = -1
    assert bool(allowed) == (0 <= number <= 9999)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_word_runs_through_everything(name: str) -> None:
    folder = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
    properties = FUNCTIONS[name]["Properties"]
    assert properties["Handler"] == f"{folder}.app.lambda_handler"
    assert properties["Role"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}
    assert properties["LoggingConfig"] == {"LogGroup": {"Ref": f"{name}Logs"}}
    called = {f"{name}Arn": {"Fn::GetAtt": [name, "Arn"]}}
    substitutions = RESOURCES["Workflow"]["Properties"]["DefinitionSubstitutions"]
    custom = {"ProvideImagesArn": RESOURCES["Images"]["Properties"]["ServiceToken"]}
    assert called.items() <= {**substitutions, **custom}.items()


def test_every_function_is_deployed() -> None:
    handlers = {f"{path.parent.name}.app.lambda_handler" for path in CODE.glob("*/app.py")}
    assert handlers == {item["Properties"]["Handler"] for item in FUNCTIONS.values()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_get_the_environment_that_they_read(name: str) -> None:
    properties = FUNCTIONS[name]["Properties"]
    source = ast.parse((folder_of(name) / "app.py").read_text())
    environment = [
        node for node in source.body if isinstance(node, ast.ClassDef) and node.name == "Environment"
    ]
    read = {
        node.target.id.upper()
        for definition in environment
        for node in definition.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert properties.get("Environment", {}).get("Variables", {}).keys() == read


@pytest.mark.parametrize("role", ROLES)
def test_every_actor_trusts_one_service(role: str) -> None:
    [statement] = ROLES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    service = statement["Principal"]["Service"]
    services = ("codebuild", "lambda", "sagemaker", "states")
    assert service in [f"{name}.amazonaws.com" for name in services]
    if service != "lambda.amazonaws.com":  # Lambda sends no source account
        # Of SageMaker's feature store the documentation does not say that it does.
        operator = "StringEqualsIfExists" if role == "FeatureStoreRole" else "StringEquals"
        assert statement["Condition"] == {operator: {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


@pytest.mark.parametrize("role", ROLES)
def test_roles_grant_no_wildcards(role: str) -> None:
    unbound = (
        "logs:",
        "xray:",
        "ecr:GetAuthorizationToken",
        "cloudwatch:PutMetricData",
        "sagemaker:ListModelPackages",
    )
    for statement in statements(role):
        assert not any("*" in action for action in as_list(statement["Action"]))
        if "*" in as_list(statement["Resource"]):
            assert all(action.startswith(unbound) for action in as_list(statement["Action"])), statement
        if "iam:PassRole" in as_list(statement["Action"]):
            passed = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
            assert statement["Condition"] == passed


def test_every_action_is_given_a_reason() -> None:
    lines = [line for line in SOURCE.splitlines() if re.search(r"(- |Action: )[a-z0-9]+:[A-Z]\w+", line)]
    own = [policy for item in ROLES.values() for policy in item["Properties"]["Policies"]]
    documents = [policy["PolicyDocument"]["Statement"] for policy in own] + list(MANAGED.values())
    granted = sum(len(as_list(statement["Action"])) for document in documents for statement in document)
    granted += sum(item["Type"] == "AWS::Lambda::Permission" for item in RESOURCES.values())
    assert len([line for line in lines if "sts:AssumeRole" not in line]) == granted
    assert [line for line in lines if "sts:AssumeRole" not in line and " # " not in line] == []


def test_the_bucket_is_closed_kept_and_heard() -> None:
    bucket = RESOURCES["DataBucket"]
    properties = bucket["Properties"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert "BucketEncryption" in properties
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    event_bridge = properties["NotificationConfiguration"]["EventBridgeConfiguration"]
    assert event_bridge == {"EventBridgeEnabled": True}
    [deny] = RESOURCES["DataBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_no_rule_expires_what_a_live_endpoint_still_needs() -> None:
    rules = RESOURCES["DataBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert {rule.get("Prefix") for rule in rules if "ExpirationInDays" in rule} == {
        "async/",
        "athena/",
        "checkpoints/",
    }


def test_delete_markers_go_with_the_versions_that_they_hid() -> None:
    rules = RESOURCES["DataBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    [rule] = [rule for rule in rules if rule.get("ExpiredObjectDeleteMarker")]
    assert "NoncurrentVersionExpiration" in rule
    assert not {"ExpirationInDays", "ExpirationDate", "TagFilters"} & rule.keys()  # S3 refuses these with it


def test_files_under_raw_start_the_workflow() -> None:
    [event] = RESOURCES["Workflow"]["Properties"]["Events"].values()
    pattern = event["Properties"]["Pattern"]
    assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Created"])
    assert pattern["detail"] == {
        "bucket": {"name": [{"Ref": "DataBucket"}]},
        "object": {"key": [{"prefix": "raw/"}]},
    }


def test_logs_are_kept_for_a_bounded_time() -> None:
    groups = {name for name, item in RESOURCES.items() if item["Type"] == "AWS::Logs::LogGroup"}
    assert groups == {f"{name}Logs" for name in [*FUNCTIONS, "ImageBuilder", "Workflow"]}
    assert all(RESOURCES[name]["Properties"]["RetentionInDays"] for name in groups)


def test_parameters_are_described_grouped_and_have_defaults() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [parameter for group in groups for parameter in group["Parameters"]]
    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])
    assert all("Description" in item and "Default" in item for item in TEMPLATE["Parameters"].values())


def test_settings_have_the_readable_definitions_defaults() -> None:
    for variable, default in settings.DEFAULTS.items():
        name = variable.strip("${}")
        if name in ("UseSpot", "TrainingLimits"):
            continue
        assert str(TEMPLATE["Parameters"][name]["Default"]) == str(default)
    assert settings.DEFAULTS[settings.USE_SPOT] is json.loads(TEMPLATE["Parameters"]["UseSpot"]["Default"])


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("AccuracyFloor", ["0", "0.6", "1", "1.0", "0.123456789"]),
        ("IngestInstanceCount", ["1", "9", "10", "20"]),
        ("TrainingInstanceCount", ["1", "9", "10", "20"]),
    ],
)
def test_numbers_in_the_pipelines_definition_are_json(parameter: str, values: list[str]) -> None:
    allowed = re.compile(TEMPLATE["Parameters"][parameter]["AllowedPattern"])
    assert all(allowed.fullmatch(value) for value in values)
    for refused in ("", ".5", "01", "1.5", "-1", "21", "2e1", "0x1", "+1", " 1", "1,0"):
        assert not allowed.fullmatch(refused), refused


def test_the_search_has_the_pipelines_own_defaults() -> None:
    definition = json.loads((ROOT / "pipeline" / "rendered" / "tuning.json").read_text())
    for parameter in definition["Parameters"]:
        if "DefaultValue" in parameter and not parameter["Name"].startswith("Champion"):
            default = TEMPLATE["Parameters"][parameter["Name"]]["Default"]
            assert str(default) == str(parameter["DefaultValue"])
