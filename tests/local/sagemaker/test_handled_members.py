"""Every member of a request is handled, refused by name, or accepted because it has no effect here."""

from collections.abc import Iterator

import pytest
from botocore.model import ListShape, Shape, StructureShape

from localaws.sagemaker import endpoint_configs, endpoints, inputs, models, processing, training, transform
from localaws.sagemaker.shapes import operation_model

JOB = {"RoleArn", "Environment", "Tags"}
PROCESSING = JOB | {
    "ProcessingJobName",
    "AppSpecification",
    "ProcessingInputs.InputName",
    "ProcessingInputs.S3Input.S3Uri",
    "ProcessingInputs.S3Input.LocalPath",
    "ProcessingInputs.S3Input.S3DataType",
    "ProcessingInputs.S3Input.S3DataDistributionType",
    "ProcessingInputs.S3Input.S3InputMode",
    "ProcessingInputs.S3Input.S3CompressionType",
    "ProcessingInputs.DatasetDefinition.LocalPath",
    "ProcessingInputs.DatasetDefinition.DataDistributionType",
    "ProcessingInputs.DatasetDefinition.InputMode",
    *(
        f"ProcessingInputs.DatasetDefinition.AthenaDatasetDefinition.{name}"
        for name in (
            *("Catalog", "Database", "QueryString", "WorkGroup"),
            *("OutputS3Uri", "OutputFormat", "OutputCompression"),
        )
    ),
    "ProcessingOutputConfig.Outputs.OutputName",
    "ProcessingOutputConfig.Outputs.S3Output",
    "ProcessingResources.ClusterConfig.InstanceCount",
    "StoppingCondition.MaxRuntimeInSeconds",
    "NetworkConfig.EnableNetworkIsolation",
}
TRAINING = JOB | {
    "TrainingJobName",
    "HyperParameters",
    "AlgorithmSpecification.TrainingImage",
    "AlgorithmSpecification.TrainingInputMode",
    "AlgorithmSpecification.MetricDefinitions",
    "AlgorithmSpecification.ContainerEntrypoint",
    "AlgorithmSpecification.ContainerArguments",
    "InputDataConfig.ChannelName",
    "InputDataConfig.DataSource.S3DataSource.S3DataType",
    "InputDataConfig.DataSource.S3DataSource.S3Uri",
    "InputDataConfig.ContentType",
    "InputDataConfig.CompressionType",
    "InputDataConfig.RecordWrapperType",
    "InputDataConfig.InputMode",
    "OutputDataConfig.S3OutputPath",
    "OutputDataConfig.CompressionType",
    "ResourceConfig.InstanceCount",
    "StoppingCondition.MaxRuntimeInSeconds",
    "EnableNetworkIsolation",
    "CheckpointConfig",
}
TRANSFORM = {
    "TransformJobName",
    "ModelName",
    "MaxConcurrentTransforms",
    "ModelClientConfig",
    "MaxPayloadInMB",
    "BatchStrategy",
    "Environment",
    "TransformInput",
    "TransformOutput.S3OutputPath",
    "TransformOutput.Accept",
    "TransformOutput.AssembleWith",
    "TransformResources.InstanceCount",
    "DataProcessing",
    "Tags",
}
CONTAINERS = ("PrimaryContainer", "Containers")
CONTAINER = {
    "Image",
    "Mode",
    "Environment",
    "ModelPackageName",
    "ModelDataUrl",
    "ModelDataSource.S3DataSource.S3Uri",
    "ModelDataSource.S3DataSource.S3DataType",
    "ModelDataSource.S3DataSource.CompressionType",
}
CONFIG = {
    "EndpointConfigName",
    "Tags",
    "ProductionVariants.VariantName",
    "ProductionVariants.ModelName",
    "ProductionVariants.InstanceType",
    "ProductionVariants.InitialInstanceCount",
    "ProductionVariants.InitialVariantWeight",
    "ProductionVariants.ContainerStartupHealthCheckTimeoutInSeconds",
    "AsyncInferenceConfig.ClientConfig",
    "AsyncInferenceConfig.OutputConfig.S3OutputPath",
    "AsyncInferenceConfig.OutputConfig.S3FailurePath",
    "AsyncInferenceConfig.OutputConfig.NotificationConfig.SuccessTopic",
    "AsyncInferenceConfig.OutputConfig.NotificationConfig.ErrorTopic",
}
ENDPOINT = {"EndpointName", "EndpointConfigName", f"{endpoints.ROUTING}.Type"}
UPDATE_ONLY = {"RetainAllVariantProperties", "ExcludeRetainedVariantProperties"}


def of_containers(*names: str) -> set[str]:
    return {f"{container}.{name}" for container in CONTAINERS for name in names}


def members(shape: Shape, known: set[str], path: str = "") -> Iterator[str]:
    """The paths of a shape's members: of a known one itself, of any other its leaves."""
    while isinstance(shape, ListShape):
        shape = shape.member
    if path in known or not isinstance(shape, StructureShape):
        yield path
        return
    for name, member in shape.members.items():
        yield from members(member, known, f"{path}.{name}" if path else name)


@pytest.mark.parametrize(
    ("operation", "handled", "refused", "without_effect"),
    [
        (
            "CreateProcessingJob",
            PROCESSING,
            {*processing.REFUSED, *inputs.REFUSED},
            {*processing.WITHOUT_EFFECT, *inputs.WITHOUT_EFFECT},
        ),
        ("CreateTrainingJob", TRAINING, {*training.REFUSED}, {*training.WITHOUT_EFFECT}),
        ("CreateTransformJob", TRANSFORM, {*transform.REFUSED}, {*transform.WITHOUT_EFFECT}),
        (
            "CreateModel",
            {"ModelName", "ExecutionRoleArn", "Tags"} | of_containers(*CONTAINER),
            {*models.REFUSED} | of_containers(*models.REFUSED_OF_CONTAINER),
            of_containers(*models.WITHOUT_EFFECT_OF_CONTAINER),
        ),
        ("CreateEndpointConfig", CONFIG, {*endpoint_configs.REFUSED}, {*endpoint_configs.WITHOUT_EFFECT}),
        (
            "CreateEndpoint",
            ENDPOINT | {"Tags"},
            {*endpoints.REFUSED} - UPDATE_ONLY,
            {*endpoints.WITHOUT_EFFECT},
        ),
        (
            "UpdateEndpoint",
            ENDPOINT | {"RetainDeploymentConfig"},
            {*endpoints.REFUSED},
            {*endpoints.WITHOUT_EFFECT},
        ),
    ],
)
def test_every_member_is_handled_refused_or_without_effect(
    operation: str, handled: set[str], refused: set[str], without_effect: set[str]
) -> None:
    known = handled | refused | without_effect
    assert len(known) == len(handled) + len(refused) + len(without_effect)
    shape = operation_model(operation).input_shape
    assert shape is not None
    assert set(members(shape, known)) == known
