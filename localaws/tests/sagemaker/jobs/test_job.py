import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from localaws.runtimes.container import ContainerSpec
from localaws.sagemaker.api.errors import (
    ClientFailure,
    ResourceInUse,
    ServiceUnavailable,
    ValidationException,
)
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.jobs import job as module
from localaws.sagemaker.jobs.job import Job, Jobs, local_path
from localaws.sagemaker.platform.logs import LogStream
from localaws.sagemaker.platform.platform import Platform
from localaws.testing import wait_until
from localaws_tests.jobs import IMAGE, end_of
from localaws_tests.serving import Account, small_account

account = pytest.fixture(small_account)


class WaitingJobs(Jobs):
    """Jobs that wait until they are stopped, and then `delay` seconds longer."""

    kind = "ProcessingJob"
    arn_kind = "processing-job"

    def __init__(self, platform: Platform, delay: float = 0) -> None:
        super().__init__(platform)
        self._delay = delay

    def check(self, request: Document) -> str:
        return "role"

    def work(self, job: Job, log: LogStream) -> None:
        job.stopping.wait(60)
        time.sleep(self._delay)

    def start(self, name: str) -> None:
        self.create({"ProcessingJobName": name})

    def status(self, name: str) -> str:
        return str(self.describe({"ProcessingJobName": name})["ProcessingJobStatus"])


@pytest.fixture
def jobs(account: Account) -> Iterator[WaitingJobs]:
    jobs = WaitingJobs(account.platform)
    yield jobs
    jobs.close()


def test_a_job_whose_folder_cannot_be_made_fails(account: Account, jobs: WaitingJobs) -> None:
    account.platform.workdir.mkdir()
    (account.platform.workdir / "processing-job").write_text("in the way")
    jobs.start("one")
    record = end_of(jobs, "one")
    assert record["ProcessingJobStatus"] == "Failed"
    assert record["FailureReason"].startswith("InternalServerError")
    assert "processing-job" in record["FailureReason"]


def test_a_job_whose_thread_cannot_start_is_not_recorded(
    jobs: WaitingJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            jobs.start("one")
    jobs.start("one")
    assert jobs.status("one") == "InProgress"


def test_job_names_are_case_insensitive(jobs: WaitingJobs) -> None:
    jobs.start("Job-One")
    with pytest.raises(ResourceInUse):
        jobs.start("JOB-one")
    jobs.stop({"ProcessingJobName": "job-ONE"})
    assert end_of(jobs, "job-one")["ProcessingJobStatus"] == "Stopped"
    jobs.delete({"ProcessingJobName": "JOB-ONE"})
    jobs.start("job-one")


def test_close_waits_for_all_jobs_together(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSING_SECONDS", 0.5)
    slow = WaitingJobs(account.platform, delay=3)
    names = [f"job-{index}" for index in range(60)]
    for name in names:
        slow.start(name)
    started = time.monotonic()
    slow.close()
    assert time.monotonic() - started < 25  # one after the other: 30
    wait_until(lambda: {slow.status(name) for name in names} == {"Stopped"})


def test_close_returns_when_all_jobs_have_ended(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSING_SECONDS", 600.0)
    jobs = WaitingJobs(account.platform)
    jobs.start("one")
    started = time.monotonic()
    jobs.close()
    assert jobs.status("one") == "Stopped"
    assert time.monotonic() - started < 300
    with pytest.raises(ServiceUnavailable, match="shutting down"):
        jobs.start("two")


@pytest.mark.parametrize("path", ["/opt/ml", "/opt/ml/../x", "/opt/mlx/a", "opt/ml/a", ""])
def test_a_local_path_elsewhere_is_rejected(path: str) -> None:
    with pytest.raises(ValidationException, match="LocalPath"):
        local_path(path, "/opt/ml")


def test_a_local_path_is_relative_to_opt_ml() -> None:
    assert str(local_path("/opt/ml/processing/a/b", "/opt/ml/processing")) == "processing/a/b"


def test_if_one_container_cannot_start_all_are_stopped(platform: Platform, tmp_path: Path) -> None:
    job = Job("one", "arn", {}, "role", platform, "one/algo-1-0")
    environment = {"CODE": "time.sleep(600)"}
    specs = [
        ContainerSpec(IMAGE, (command,), tmp_path / command, environment) for command in ("work", "nothing")
    ]
    with pytest.raises(ClientFailure, match="no executable 'nothing'"):
        job.run_cluster(specs)
    remaining = [process.cmdline() for process in psutil.Process().children(recursive=True)]
    assert not [command for command in remaining if any("obedient" in part for part in command)]


def test_earlier_run_time_counts_towards_max_runtime(platform: Platform, tmp_path: Path) -> None:
    request = {"StoppingCondition": {"MaxRuntimeInSeconds": 3600}}
    job = Job("one", "arn", request, "role", platform, "one/algo-1-0", seconds=3600.0)
    job.run_cluster([ContainerSpec(IMAGE, ("work",), tmp_path, {"CODE": "time.sleep(600)"})])
    assert job.exceeded == "MaxRuntimeInSeconds"
    assert job.seconds > 3600


def test_a_job_that_exceeded_a_limit_is_not_interrupted(platform: Platform, tmp_path: Path) -> None:
    """An interruption would start it again."""
    job = Job("one", "arn", {}, "role", platform, "one/algo-1-0", limits={"Limit": 0.0}, interruption=0.0)
    job.run_cluster([ContainerSpec(IMAGE, ("work",), tmp_path, {"CODE": "time.sleep(600)"})])
    assert (job.exceeded, job.interrupted) == ("Limit", False)
