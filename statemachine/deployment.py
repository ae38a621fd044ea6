"""The deployment of a model to both endpoints, and its undoing."""

from typing import Any

from stepfunctions import steps
from stepfunctions.steps.choice_rule import ChoiceRule
from stepfunctions.steps.states import State

from statemachine import endpoints
from statemachine.asl import EXECUTION, FIRST_PAUSE, Map, Task, call, caught, invoke, of_payload, sent_once
from statemachine.judgement import approval, verdict
from statemachine.outcome import complain, outcome

REMEMBERED = "$.deployment.remembered"  # the endpoints with what they served before
ASYNC_OUTPUT = {
    "S3OutputPath": "s3://${DataBucketName}/async/output",
    "S3FailurePath": "s3://${DataBucketName}/async/failure",
}


def deploy(then: State, failed: State) -> State:
    """Approve the model, deploy it to both endpoints in parallel, test them, and record the deployment."""
    name = steps.Pass(
        "NameDeployment",
        parameters={
            "model.$": "States.Format('${StackName}-{}', $.id)",
            "endpoints": [
                {
                    "name": f"${{{kind}EndpointName}}",
                    "config.$": config_name(kind),
                    "pause": {"seconds": FIRST_PAUSE},
                }
                for kind in ("RealTime", "Async")
            ],
        },
        result_path="$.deployment",
    )
    remember = each_endpoint(
        "RememberEndpoints", "$.deployment.endpoints", endpoints.remember(), caught(failed), at=REMEMBERED
    )
    approve = approval("ApproveModel", "Approved", "$.evaluation.summary", caught(failed))
    create = call(
        "CreateModel",
        "sagemaker:createModel",
        {
            "ModelName.$": "$.deployment.model",
            "PrimaryContainer": {"ModelPackageName.$": "$.evaluation.modelPackageArn"},
            "ExecutionRoleArn": "${ModelRoleArn}",
        },
    )
    live = each_endpoint("DeployEndpoints", REMEMBERED, endpoints.deploy(), caught(failed))
    smoke = invoke(
        "SmokeTest",
        {
            "samplesUri.$": "$.evaluation.samplesUri",
            "realTimeEndpointName": "${RealTimeEndpointName}",
            "asyncEndpointName": "${AsyncEndpointName}",
        },
        [caught(failed)],
        keep=of_payload("answers"),
        at="$.smokeTest",
    )
    record = call(
        "RecordDeployment",
        "sagemaker:updateModelPackage",
        {
            "ModelPackageArn.$": "$.evaluation.modelPackageArn",
            "CustomerMetadataProperties": {"Deployed.$": EXECUTION},
        },
        [caught(failed)],
        comment="It is the champion from now on, also if its endpoints are deleted: PlanRun looks for this",
    )
    real_time, asynchronous = (
        configure(f"Configure{kind}", kind, config_name(kind), "$.deployment.model")
        for kind in ("RealTime", "Async")
    )
    steps.Chain([name, remember, approve, create])
    sent_once(create, real_time, failed)
    sent_once(real_time, asynchronous, failed)
    sent_once(asynchronous, live, failed)
    deployed = outcome("DEPLOYED", "model deployed", "$.evaluation.summary", verdict())
    steps.Chain([live, smoke, record, deployed, then])
    return name


def configure(name: str, kind: str, config: str, model: str) -> Task:
    """Create an endpoint's configuration: one instance that serves a model.

    Args:
        name: the state's.
        kind: RealTime or Async.
        config: a path or an intrinsic function of the configuration's name.
        model: a path of the model's name.
    """
    variant = {
        "VariantName": "AllTraffic",
        "ModelName.$": model,
        "InstanceType": "${EndpointInstanceType}",
        "InitialInstanceCount": 1,
    }
    parameters: dict[str, Any] = {"EndpointConfigName.$": config, "ProductionVariants": [variant]}
    if kind == "Async":
        parameters["AsyncInferenceConfig"] = {"OutputConfig": ASYNC_OUTPUT}
    return call(name, "sagemaker:createEndpointConfig", parameters)


def config_name(kind: str) -> str:
    """Return an intrinsic function for the name of an endpoint's new configuration."""
    return f"States.Format('${{StackName}}-{{}}-{kind.lower()}', $.id)"


def undo_deployment(then: State, untouched: State) -> State:
    """Restore both endpoints and reject the model, if its deployment had begun; else go on to `untouched`."""
    takeback = approval(
        "TakeApprovalBack",
        "Rejected",
        "States.Format('Good enough, but not deployed: {}. See {}', $.outcome.error, $$.Execution.Id)",
        complain("TakeApprovalBack", then),
    )
    restore = each_endpoint(
        "RestoreEndpoints", REMEMBERED, endpoints.restore(), complain("RestoreEndpoints", takeback)
    )
    begun = steps.Choice("DeploymentBegun?")
    begun.add_choice(ChoiceRule.IsPresent(REMEMBERED, True), restore)
    begun.default_choice(untouched)
    restore.next(takeback).next(then)
    return begun


def each_endpoint(name: str, items: str, loop: State, catch: steps.Catch, at: str | None = None) -> State:
    """Do the same for both endpoints, in parallel."""
    task = Map(name, items_path=items, result_path=at, catch=[catch])
    task.attach_iterator(loop)
    return task
