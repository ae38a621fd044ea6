"""A tuning job's definition, and the requests of its training jobs."""

import secrets

from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.api.members import refuse_values, values
from localaws.sagemaker.api.shapes import Document, parse_request
from localaws.sagemaker.tuning.ranges import Combination, Range, combinations, parse_ranges

CONFIG = "HyperParameterTuningJobConfig"
DEFINITION = "TrainingJobDefinition"
RESOURCES = "ResourceConfig"
TUNING_RESOURCES = "HyperParameterTuningResourceConfig"
# Members of a training job definition that are also members of CreateTrainingJob.
TRAINING_MEMBERS = (
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "VpcConfig",
    "OutputDataConfig",
    RESOURCES,
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "RetryStrategy",
    "Environment",
)
OBJECTIVE_PARAMETER = "_tuning_objective_metric"  # added to the hyperparameters, as by SageMaker


class Definition:
    """A valid CreateHyperParameterTuningJob request.

    Raises:
        ValidationException: the request is invalid.
        NotSupportedLocally: the request uses a feature that only AWS supports.
    """

    def __init__(self, request: Document) -> None:
        refuse_values(request, f"{CONFIG}.Strategy", "Hyperband")
        refuse_values(
            request,
            f"{CONFIG}.TuningJobCompletionCriteria.ConvergenceDetected.CompleteOnConvergence",
            "Enabled",
        )
        self._request = request
        self.config: Document = request[CONFIG]
        self.training = _required(request, DEFINITION)
        self.objective = _required(self.config, "HyperParameterTuningJobObjective")
        self.ranges = parse_ranges(self.config.get("ParameterRanges", {}))
        self.max_jobs = _max_jobs(self.config, self.ranges)
        if RESOURCES in self.training and TUNING_RESOURCES in self.training:
            raise ValidationException(f"{DEFINITION} can have {RESOURCES} or {TUNING_RESOURCES}, not both")
        self._check_names()

    @property
    def maximize(self) -> bool:
        """Whether a greater objective is better (Maximize)."""
        return bool(self.objective["Type"] == "Maximize")

    def training_request(self, number: int, combination: Combination) -> Document:
        """Return CreateTrainingJob's request for the combination with this number, counted from 0.

        Raises:
            ValidationException: the training job's request would be invalid.
        """
        name = f"{self._request['HyperParameterTuningJobName']}-{number + 1:03d}-{secrets.token_hex(4)}"
        parameters = self.training.get("StaticHyperParameters", {})
        parameters = parameters | combination | {OBJECTIVE_PARAMETER: self.objective["MetricName"]}
        members = {member: self.training[member] for member in TRAINING_MEMBERS if member in self.training}
        if TUNING_RESOURCES in self.training:
            members[RESOURCES] = _first_choice(self.training[TUNING_RESOURCES])
        tags = {"Tags": self._request["Tags"]} if "Tags" in self._request else {}
        return parse_request(
            "CreateTrainingJob", {**members, "TrainingJobName": name, "HyperParameters": parameters, **tags}
        )

    def _check_names(self) -> None:
        metrics = values(self.training, "AlgorithmSpecification.MetricDefinitions.Name")
        if self.objective["MetricName"] not in metrics:
            raise ValidationException(
                "A metric is required for this hyperparameter tuning job objective. Provide a metric in the "
                f"metric definitions (none is named {self.objective['MetricName']})"
            )
        static = self.training.get("StaticHyperParameters", {})
        if both := sorted(item.name for item in self.ranges if item.name in static):
            raise ValidationException(f"Hyperparameters cannot be static and tuned: {', '.join(both)}")


def _required(document: Document, member: str) -> Document:
    if member not in document:
        raise ValidationException(f"The member {member} is required")
    value: Document = document[member]
    return value


def _first_choice(resources: Document) -> Document:
    """Return the first ResourceConfig of the alternatives; capacity never runs out here."""
    first: Document = next(iter(resources.get("InstanceConfigs", [])), {})
    tuning_only = ("AllocationStrategy", "InstanceConfigs")
    return {member: value for member, value in (resources | first).items() if member not in tuning_only}


def _max_jobs(config: Document, ranges: tuple[Range, ...]) -> int:
    limit: int | None = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    size = combinations(ranges)
    if config["Strategy"] == "Grid":
        return _grid_jobs(limit, config, int(size) if size < float("inf") else 0)
    if limit is None:
        raise NotSupportedLocally(f"A {CONFIG} without ResourceLimits.MaxNumberOfTrainingJobs")
    if size < limit:
        raise ValidationException(
            "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter "
            f"combinations for the provided ranges [{size}] must be equal or greater than the value of "
            f"MaxNumberOfTrainingJobs, [{limit}]. Provide additional ranges."
        )
    return limit


def _grid_jobs(limit: int | None, config: Document, size: int) -> int:
    ranges = config.get("ParameterRanges", {})
    if ranges.get("IntegerParameterRanges") or ranges.get("ContinuousParameterRanges"):
        raise ValidationException("The strategy Grid supports only categorical hyperparameters")
    if limit not in (None, size):
        raise ValidationException(
            f"The strategy Grid runs every combination once: MaxNumberOfTrainingJobs must be {size} or "
            f"omitted, not {limit}"
        )
    return size
