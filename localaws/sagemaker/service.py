"""SageMaker, put together: every noun on one platform."""

from localaws.sagemaker.cloudformation import ResourceType, resource_types
from localaws.sagemaker.endpoint_configs import EndpointConfigs
from localaws.sagemaker.endpoints import Endpoints
from localaws.sagemaker.featurestore.feature_store import DEFAULT_LAG, FeatureStore
from localaws.sagemaker.http import Http, Operation
from localaws.sagemaker.invocations import Invocations
from localaws.sagemaker.models import Models
from localaws.sagemaker.pipelines.api import Pipelines
from localaws.sagemaker.platform import Platform
from localaws.sagemaker.processing import ProcessingJobs
from localaws.sagemaker.registry import ModelRegistry
from localaws.sagemaker.tags import Tags
from localaws.sagemaker.threads import at_once
from localaws.sagemaker.training import TrainingJobs
from localaws.sagemaker.transform import TransformJobs
from localaws.sagemaker.tuning.api import TuningJobs


class SageMaker:
    """The service: what answers its requests, and what stops all that it runs."""

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
        nouns = (*self._jobs, models, configs, self._endpoints, registry, self._pipelines, groups)
        operations: dict[str, Operation] = {}
        for noun in nouns:
            operations |= noun.operations()
        operations = tags.following(operations) | tags.operations()
        invocations = Invocations(self._endpoints)
        self.http = Http(operations, records.operations(), invocations, platform.arn_prefix)

    def resource_types(self) -> dict[str, ResourceType]:
        """What CloudFormation can make of it."""
        return resource_types(self.http.call)

    def close(self) -> None:
        """Stop pipelines, jobs and endpoints, with every process of theirs, then the feature store."""
        self._pipelines.close()
        at_once([self._endpoints.close, *(jobs.close for jobs in self._jobs)])
        self._features.close()
