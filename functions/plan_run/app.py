"""Plan a run: find the files under raw/ that are not in the ledger, and the pipeline's parameters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from plan_run.admission import admit
from plan_run.champion import Registry, find_champion
from plan_run.forgetting import find_forgotten, resolve, save
from plan_run.ledger import Ledger, read_ledger
from plan_run.load import FIXED_GB, MAX_VOLUME_GB, dataset_volume, ingest_volume, most_bytes, take
from plan_run.offline_store import find_offline_store
from plan_run.plan import time_events, timestamp, write_plan
from plan_run.raw_objects import RAW, RawObject, list_objects
from plan_run.replacements import describe_gone, gone_keys, planned, save_attempts
from plan_run.run_input import RunInput, check_name, read_input
from plan_run.survey import Survey, survey
from shared.documents import Document
from shared.environment import FunctionEnvironment
from shared.plan import Plan, SetAsideObject, Version, read_plan

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

logger = Logger(service="plan_run")
tracer = Tracer(service="plan_run")
metrics = Metrics(namespace="Retrain", service="plan_run")


MAX_NOTE = 256  # characters that a processing job's environment takes


class UnclearRequestError(Exception):
    """The event has neither an execution nor a `lookAgain`."""


class NoDataError(Exception):
    """A forced run has no data to train on."""


class FutureError(Exception):
    """`asOf` is in the future."""


class Environment(FunctionEnvironment):
    """The function's configuration."""

    bucket_name: str
    table_name: str
    feature_group_name: str
    real_time_endpoint_name: str
    model_package_group_name: str
    champion_model_prefix: str  # of the models that are created to score a champion
    model_role_arn: str
    pipeline_name: str
    tuning_pipeline_name: str  # empty if the container declares no ranges
    max_tuning_jobs: int = Field(ge=1)
    max_parallel_tuning_jobs: int = Field(ge=1)
    forget_deleted_files: bool
    max_ingest_volume_size_in_gb: int = Field(gt=FIXED_GB, le=MAX_VOLUME_GB)

    def registry(self) -> Registry:
        """Return the registry's group, and what a model of its packages gets."""
        return Registry(self.model_package_group_name, self.champion_model_prefix, self.model_role_arn)


class Execution(BaseModel):
    """Step Functions' `$$.Execution`."""

    name: str = Field(alias="Name")
    input: object = Field(alias="Input")


class Outcome(BaseModel):
    """The outcome of the run that is ending."""

    status: str


class LookAgain(Document):
    """The plan of the run that is ending, if it has one, and its outcome."""

    plan_uri: str | None = None
    outcome: Outcome


class Request(Document):
    """Either a run to plan, or a look for files that arrived during a run."""

    execution: Execution | None = None
    look_again: LookAgain | None = None


class Answer(Document):
    """The workflow's further input; only the counts if there is nothing to run.

    Values of pipeline parameters are strings, since StartPipelineExecution accepts nothing else.
    """

    run: bool
    forced: bool = False
    new_objects: int
    objects: int = 0
    remaining: int = 0  # new objects that wait for a later run
    set_aside: int = 0  # objects that no job can take
    new_set_aside: int = 0  # those of them that no earlier run reported
    ignored: int = 0  # objects that are no data
    gone_objects: int = 0  # ingested files that are no longer under raw/, whose records are kept
    gone_note: str = ""
    plan_uri: str | None = None
    as_of: str | None = None
    output_uri: str | None = None
    quarantine_uri: str | None = None
    champion_model_name: str | None = None
    champion_model_package_arn: str | None = None
    champion_note: str | None = None
    first_model: bool | None = None
    offline_store_database: str | None = None
    offline_store_table: str | None = None
    pipeline_name: str | None = None
    max_tuning_jobs: str | None = None
    max_parallel_tuning_jobs: str | None = None
    ingest_volume_size_in_gb: str | None = Field(default=None, serialization_alias="ingestVolumeSizeInGB")
    dataset_volume_size_in_gb: str | None = Field(default=None, serialization_alias="datasetVolumeSizeInGB")


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return whether there is something to run, and with which parameters."""
    request = parse(event=event, model=Request)
    environment = Environment.read()
    s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")
    ledger = read_ledger(dynamodb, environment.table_name)
    stored = list(list_objects(s3, environment.bucket_name))
    if request.look_again is not None:
        seen = look(s3, stored, ledger, environment)
        answer = look_again(s3, seen, request.look_again)
    elif request.execution is not None:
        check_name(request.execution.name)
        requested = read_input(request.execution.input)
        ledger = with_requests(requested, ledger, stored)
        seen = look(s3, stored, ledger, environment)
        run = Run(request.execution.name, requested)
        answer = plan_run(Store(s3, dynamodb, stored), seen, ledger, run, environment)
        metrics.add_metric("SetAsideObjects", MetricUnit.Count, len(seen.new_set_aside))
    else:
        raise UnclearRequestError('Give "execution" ($$.Execution) to plan a run, or "lookAgain".')
    metrics.add_metric("NewObjects", MetricUnit.Count, answer.new_objects)
    shown = answer.model_copy(update=seen.counts()).model_dump(by_alias=True)
    logger.info("planned", extra=shown)
    return shown


class Store(NamedTuple):
    """Where a run's plan comes from and goes to, and every object that is under raw/."""

    s3: S3Client
    dynamodb: DynamoDBClient
    objects: list[RawObject]


class Run(NamedTuple):
    """The execution's name, and what its operator wants."""

    name: str
    requested: RunInput


def plan_run(store: Store, seen: Survey, ledger: Ledger, run: Run, environment: Environment) -> Answer:
    """Write the plan, and return the parameters, if the run is worth starting."""
    requested, bucket = run.requested, environment.bucket_name
    new, waiting = take(seen.new, most_bytes(environment.max_ingest_volume_size_in_gb))
    set_aside = tuple(
        SetAsideObject(
            key=item.key,
            etag=item.etag,
            size=item.size,
            reason=reason,
            holds_records=ledger.may_hold_records(item.key),
        )
        for item, reason in seen.new_set_aside
    )
    gone = gone_keys(ledger, (item.key for item in store.objects))
    deleted, kept = (gone, []) if environment.forget_deleted_files else ([], gone)
    forget = find_forgotten(ledger, store.objects, deleted, timestamp(datetime.now(UTC)))
    note = describe_gone(kept)
    if not (new or requested.forced or (forget and ledger.holds_data)):
        name = write_plan(store.s3, bucket, Plan(set_aside=set_aside)) if set_aside else None
        uri = plan_uri(bucket, name) if name else None
        return Answer(run=False, new_objects=0, plan_uri=uri, gone_objects=len(kept), gone_note=note)
    if not (new or ledger.holds_data):
        unsaved = " The request to forget was not kept." if requested.forget is not None else ""
        raise NoDataError(
            f"Forced to run, but s3://{bucket}/{RAW} holds no new file and nothing was ever ingested. Copy "
            f"a file with the columns id, text, label there: aws s3 cp reviews.csv s3://{bucket}/{RAW}{unsaved}"
        )
    if requested.forget is not None:
        save(store.dynamodb, environment.table_name, ledger.requests.of_operator(requested.forget))
    events = time_events(new, after=ledger.updated_at)
    moment = as_of(requested.as_of, latest=max((event.time for event in events), default=None))
    jobs = tuning_jobs(requested.max_tuning_jobs or environment.max_tuning_jobs, environment)
    parallel = requested.max_parallel_tuning_jobs or environment.max_parallel_tuning_jobs
    sagemaker = boto3.client("sagemaker")
    champion = find_champion(
        sagemaker,
        environment.real_time_endpoint_name,
        environment.registry(),
        refused=requested.champion is not None,
    )
    offline = find_offline_store(sagemaker, environment.feature_group_name)
    plan = Plan(
        objects=tuple(planned(event, ledger) for event in events),
        forget=forget,
        forgotten_ids=tuple(sorted(ledger.requests.ids)),
        set_aside=set_aside,
        waiting=tuple(Version(key=item.key, etag=item.etag) for item in waiting),
        held=tuple(item.key for item in new if ledger.may_hold_records(item.key)),
        overtaken=tuple(item.key for item in new if item.key in ledger.requests.files),
    )
    name = write_plan(store.s3, bucket, plan)
    save_attempts(store.dynamodb, environment.table_name, new, ledger)
    return Answer(
        run=True,
        forced=requested.forced,
        new_objects=len(new),
        remaining=len(waiting),
        gone_objects=len(kept),
        gone_note=note,
        plan_uri=plan_uri(bucket, name),
        as_of=moment,
        output_uri=f"s3://{bucket}/runs/{run.name}",
        quarantine_uri=f"s3://{bucket}/quarantine/{name}",  # not the run's name: it would prevent cache hits
        champion_model_name=champion.model_name,
        champion_model_package_arn=champion.model_package_arn,
        champion_note=champion.note[:MAX_NOTE],
        first_model=champion.first,
        offline_store_database=offline.database,
        offline_store_table=offline.table,
        pipeline_name=environment.pipeline_name if jobs == 1 else environment.tuning_pipeline_name,
        max_tuning_jobs=str(jobs),
        max_parallel_tuning_jobs=str(min(parallel, jobs)),  # SageMaker refuses more than the number of jobs
        ingest_volume_size_in_gb=str(ingest_volume(new)),
        dataset_volume_size_in_gb=str(dataset_volume(seen.objects, ledger.kept_bytes(seen.objects))),
    )


def plan_uri(bucket: str, name: str) -> str:
    """Return the URI of a plan."""
    return f"s3://{bucket}/plans/{name}/plan.json"


def with_requests(requested: RunInput, ledger: Ledger, objects: list[RawObject]) -> Ledger:
    """Return the ledger with what the operator wants to be forgotten; nothing is written yet."""
    if requested.forget is None:
        return ledger
    return ledger.with_requests(resolve(requested.forget, objects, ledger))


def tuning_jobs(wanted: int, environment: Environment) -> int:
    """Return the number of trainings: one if the container declares nothing to tune."""
    if wanted > 1 and not environment.tuning_pipeline_name:
        logger.warning(
            "trains once: the folder of ModelContainer has no tuning.json, or the stack was deployed before "
            "`make render` had found it",
            extra={"maxTuningJobs": wanted},
        )
        return 1
    return wanted


def look_again(s3: S3Client, seen: Survey, look: LookAgain) -> Answer:
    """Count the files that arrived during the run, without those that the plan of a failed run knew.

    Otherwise a persistent failure would start a new run again and again. After a failure without a plan, the
    workflow does not call this: which files caused the failure is unknown.
    """
    failed = look.outcome.status == "FAILED"
    known = read_plan(s3, look.plan_uri).versions() if failed and look.plan_uri else set()
    new = [item for item in seen.new if (item.key, item.etag) not in known]
    set_aside = [item for item, _ in seen.new_set_aside if (item.key, item.etag) not in known]
    return Answer(run=bool(new or set_aside), new_objects=len(new))


def look(s3: S3Client, stored: list[RawObject], ledger: Ledger, environment: Environment) -> Survey:
    """Return what lies under raw/; the log names what was set aside since the last run."""
    most = most_bytes(environment.max_ingest_volume_size_in_gb)
    seen = survey(admit(s3, environment.bucket_name, stored, ledger, most), ledger)
    for item, reason in seen.new_set_aside:
        logger.warning("set aside", extra={"key": item.key, "reason": reason})
    return seen


def as_of(requested: datetime | None, latest: datetime | None) -> str:
    """Return the time that the dataset is made of: the requested one, else now including all new files."""
    now = datetime.now(UTC)
    if requested is None:
        return timestamp(max(now, latest) if latest else now)
    if requested > now:
        raise FutureError(
            f'"asOf" is {timestamp(requested)}, but it is only {timestamp(now)}: a dataset as of a future '
            "time cannot be reproduced. Use a time in the past, or no asOf for now."
        )
    return timestamp(requested)
