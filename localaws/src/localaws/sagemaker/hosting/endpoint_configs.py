"""Endpoint configurations: the models that an endpoint serves and their variants' settings."""

from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.api.members import refuse_others
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.hosting.models import Models
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import Records, list_page, now

VARIANT = "ProductionVariants"
OUTPUT = "AsyncInferenceConfig.OutputConfig"
# The request members that are applied, or stored and described; any other member is rejected.
HANDLED = (
    "EndpointConfigName",
    "Tags",
    f"{VARIANT}.VariantName",
    f"{VARIANT}.ModelName",
    f"{VARIANT}.InstanceType",
    f"{VARIANT}.InitialInstanceCount",
    f"{VARIANT}.InitialVariantWeight",
    f"{VARIANT}.ContainerStartupHealthCheckTimeoutInSeconds",
    "AsyncInferenceConfig.ClientConfig",
    f"{OUTPUT}.S3OutputPath",
    f"{OUTPUT}.S3FailurePath",
    f"{OUTPUT}.NotificationConfig.SuccessTopic",
    f"{OUTPUT}.NotificationConfig.ErrorTopic",
)
# Accepted and ignored: they only concern AWS's instances, keys and download times.
WITHOUT_EFFECT = (
    "KmsKeyId",
    f"{VARIANT}.VolumeSizeInGB",
    f"{VARIANT}.InferenceAmiVersion",
    f"{VARIANT}.ModelDataDownloadTimeoutInSeconds",
    f"{VARIANT}.VariantInstanceProvisionTimeoutInSeconds",
    f"{OUTPUT}.KmsKeyId",
)


class EndpointConfigs:
    """Endpoint configurations by name.

    Instance types and counts are stored and described, but one local process serves each variant.
    """

    def __init__(self, platform: Platform, models: Models) -> None:
        self._platform = platform
        self._models = models
        self._records = Records()

    def operations(self) -> dict[str, Operation]:
        """Return the handlers of this resource's operations, by operation name."""
        return {
            "CreateEndpointConfig": self.create,
            "DescribeEndpointConfig": self.describe,
            "ListEndpointConfigs": self.list,
            "DeleteEndpointConfig": self.delete,
        }

    def get(self, name: str) -> Document:
        """Return a configuration's record.

        Raises:
            ValidationException: no configuration has this name.
        """
        return self._records.get(name, self._missing(name))

    def create(self, request: Document) -> Document:
        """Store a configuration; its models must exist."""
        refuse_others(request, (*HANDLED, *WITHOUT_EFFECT))
        name = request["EndpointConfigName"]
        variants = [self._checked(variant) for variant in request["ProductionVariants"]]
        if len({variant["VariantName"] for variant in variants}) < len(variants):
            raise ValidationException("The names of an endpoint configuration's variants must differ")
        if "AsyncInferenceConfig" in request:
            _check_async(request["AsyncInferenceConfig"], variants)
        arn = self._platform.arn("endpoint-config", name)
        record = {
            **request,
            "ProductionVariants": variants,
            "EndpointConfigArn": arn,
            "CreationTime": now(),
            "EnableNetworkIsolation": False,
        }
        taken = ValidationException(f'Cannot create already existing endpoint configuration "{arn}".')
        self._records.add(name, record, taken)
        return {"EndpointConfigArn": arn}

    def describe(self, request: Document) -> Document:
        """Return a configuration by name."""
        return self.get(request["EndpointConfigName"])

    def list(self, request: Document) -> Document:
        """Return one page of configurations."""
        return list_page("ListEndpointConfigs", iter(self._records), request, "EndpointConfig")

    def delete(self, request: Document) -> Document:
        """Delete a configuration; endpoints created from it keep running."""
        name = request["EndpointConfigName"]
        self._records.remove(name, self._missing(name))
        return {}

    def _missing(self, name: str) -> ValidationException:
        arn = self._platform.arn("endpoint-config", name)
        return ValidationException(f'Could not find endpoint configuration "{arn}".')

    def _checked(self, variant: Document) -> Document:
        for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
            if member not in variant:
                raise ValidationException(f"The variant {variant['VariantName']} needs {member}")
        self._models.get(variant["ModelName"])
        return {"InitialVariantWeight": 1.0, **variant}


def _check_async(config: Document, variants: list[Document]) -> None:
    if len(variants) > 1:
        raise ValidationException("An asynchronous endpoint has one production variant")
    output = config["OutputConfig"]
    if not output.get("S3OutputPath", "").startswith("s3://"):
        raise NotSupportedLocally("An AsyncInferenceConfig without an S3OutputPath that starts with s3://")
    if not output.get("S3FailurePath", "s3://").startswith("s3://"):
        raise NotSupportedLocally("An S3FailurePath that does not start with s3://")
