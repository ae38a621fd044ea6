"""Assemble SageMaker's resources on one platform."""

from localaws.sagemaker.api.cloudformation import ResourceType, resource_types
from localaws.sagemaker.api.http import Http
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.rest import RestApi
from localaws.sagemaker.featurestore.feature_records import RUNTIME_SERVICE
from localaws.sagemaker.featurestore.feature_store import DEFAULT_LAG, FeatureStore
from localaws.sagemaker.hosting.endpoint_configs import EndpointConfigs
from localaws.sagemaker.hosting.endpoints import Endpoints
from localaws.sagemaker.hosting.invocations import Invocations
from localaws.sagemaker.hosting.models import Models
from localaws.sagemaker.jobs.processing import ProcessingJobs
from localaws.sagemaker.jobs.training import TrainingJobs
from localaws.sagemaker.jobs.transform import TransformJobs
from localaws.sagemaker.pipelines.api import Pipelines
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.tags import Tags
from localaws.sagemaker.platform.threads import run_parallel
from localaws.sagemaker.registry.model_packages import ModelRegistry
from localaws.sagemaker.tuning.api import TuningJobs


class SageMaker:
    """The service: handles requests, and stops its jobs and endpoints on close.

    Args:
        platform: the platform that everything runs on.
        offline_store_lag: seconds from PutRecord to the offline store.
        spot_interruption_after: seconds after which Spot training jobs are interrupted; None for never.
    """

    def __init__(
        self,
        platform: Platform,
        offline_store_lag: float = DEFAULT_LAG,
        spot_interruption_after: float | None = None,
    ) -> None:
        registry = ModelRegistry(platform)
        models = Models(platform, registry)
        configs = EndpointConfigs(platform, models)
        tags = Tags(platform)
        self._endpoints = Endpoints(platform, models, configs)
        self._pipelines = Pipelines(platform)
        self._features = FeatureStore(platform, offline_store_lag)
        training = TrainingJobs(platform, spot_interruption_after)
        self._jobs = (
            ProcessingJobs(platform),
            training,
            TuningJobs(platform, training, tags),
            TransformJobs(platform, models),
        )
        groups, records = self._features.groups, self._features.records
        resources = (*self._jobs, models, configs, self._endpoints, registry, self._pipelines, groups)
        operations: dict[str, Operation] = {}
        for resource in resources:
            operations |= resource.operations()
        operations = tags.wrap_operations(operations) | tags.operations()
        invocations = Invocations(self._endpoints)
        rest_apis = [RestApi(RUNTIME_SERVICE, records.operations())]
        self.http = Http(operations, rest_apis, invocations, platform.arn_prefix)

    def resource_types(self) -> dict[str, ResourceType]:
        """Return the resource types of CloudFormation."""
        return resource_types(self.http.call)

    def close(self) -> None:
        """Stop pipelines, then jobs and endpoints with their processes, then the feature store."""
        self._pipelines.close()
        run_parallel([self._endpoints.close, *(jobs.close for jobs in self._jobs)])
        self._features.close()
