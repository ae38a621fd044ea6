"""Extend Athena: permission checks on workgroups, UNLOAD, and table files without copies."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import duckdb

from localaws.ministack_adapter.permissions import machine_role
from localaws.ministack_adapter.unload import Unload, UnloadError, is_unload
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.platform.sessions import CLIENT_CONFIG
from localaws.sagemaker.platform.storage import S3Uri
from localaws.settings import ACCOUNT_ID, ROOT_KEY

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_s3 import S3Client

CANCEL_SECONDS = 0.1  # interval between two checks whether a query was stopped
REASON_CHARACTERS = 2000  # maximum length of a failed query's StateChangeReason


def install() -> None:
    """Install the extensions of Athena."""
    from ministack.services import athena

    _check_workgroups()
    _add_unload()
    athena._materialize_table_files = _link_table_files


def _check_workgroups() -> None:
    """Require permission on the workgroup for requests that start or refer to a query, as on AWS."""
    from ministack.core import iam_actions
    from ministack.services import athena

    extract_resource_arn = iam_actions.extract_resource_arn

    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        found: str = extract_resource_arn(service, method, path, headers, body, query, region, account)
        if service != "athena" or found != "*":
            return found
        request = json.loads(body or b"{}")
        execution = athena._executions.get(request.get("QueryExecutionId"))
        workgroup = (execution or {}).get("WorkGroup") or "primary"
        has_query = "QueryExecutionId" in request or "QueryString" in request
        return f"arn:aws:athena:{region}:{account}:workgroup/{workgroup}" if has_query else found

    iam_actions.extract_resource_arn = resource_arn


class _QueryCancelledError(Exception):
    """The query was stopped by StopQueryExecution while it ran."""


def _add_unload() -> None:
    from ministack.services import athena

    execute_query = athena._execute_query

    async def execute_query_or_unload(
        query_id: str, query: str, database: str, ddl: Any, catalog: str | None = None
    ) -> None:
        if is_unload(query):
            await _execute_unload(athena._executions[query_id], database, catalog)
        else:
            await execute_query(query_id, query, database, ddl, catalog)

    athena._execute_query = execute_query_or_unload


async def _execute_unload(execution: Document, database: str, catalog: str | None) -> None:
    """Run a query that ministack has accepted, and record its status in ministack's execution."""
    status, started = execution["Status"], time.monotonic()
    execution["StatementType"] = "DML"
    status["State"] = "RUNNING"
    try:
        await _run_unload(execution, database, catalog)
        state, reason = "SUCCEEDED", ""
    except Exception as error:
        state, reason = "FAILED", str(error)[:REASON_CHARACTERS]
    elapsed = int((time.monotonic() - started) * 1000)
    execution["Statistics"] |= {"EngineExecutionTimeInMillis": elapsed, "TotalExecutionTimeInMillis": elapsed}
    if status["State"] == "RUNNING":  # unless it was stopped meanwhile
        status |= {"State": state, "StateChangeReason": reason, "CompletionDateTime": int(time.time())}


async def _run_unload(execution: Document, database: str, catalog: str | None) -> None:
    from ministack.services import athena

    unload = Unload.parse(execution["Query"])
    rows, _, folders = await athena._rewrite_data_paths(unload.select, database, catalog)
    folders.append(_query_folder())

    def raise_if_stopped() -> None:
        if execution["Status"]["State"] != "RUNNING":
            raise _QueryCancelledError

    def run() -> None:
        unload.run(connection, rows, Path(folders[-1]), _caller_s3(), raise_if_stopped)

    try:
        with duckdb.connect(":memory:") as connection:
            work = asyncio.ensure_future(asyncio.to_thread(run))
            while not (await asyncio.wait([work], timeout=CANCEL_SECONDS))[0]:
                if execution["Status"]["State"] != "RUNNING":
                    connection.interrupt()
            work.result()
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _caller_s3() -> S3Client:
    """Return an S3 client with the credentials of the caller of the current request."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_region

    if machine_role.get() is not None:
        raise UnloadError("NOT_SUPPORTED: UNLOAD in a task of a state machine is not supported locally")
    # Without a verified key the caller is root: ministack rejects requests without a key, and does not verify
    # the signature of a root key.
    caller = iam_evaluator.resolve_credential(iam_evaluator._verified_key.get() or ROOT_KEY, ACCOUNT_ID)
    if not isinstance(caller, iam_evaluator.ResolvedCredential):
        raise UnloadError(f"ACCESS_DENIED: the caller's credentials are invalid: {caller.message}")
    with _session_lock:
        return _session().client(
            "s3",
            region_name=get_region(),
            endpoint_url=os.environ["AWS_ENDPOINT_URL"],
            config=CLIENT_CONFIG,
            aws_access_key_id=caller.access_key_id,
            aws_secret_access_key=caller.secret_access_key,
            aws_session_token=caller.session_token,
        )


_session_lock = threading.Lock()


@functools.cache
def _session() -> boto3.Session:
    """Return a cached session, since a new one reads botocore's models again."""
    return boto3.Session()


def _link_table_files(location: str, folders: list[str]) -> list[str]:
    """Link the objects under a table's location into a new folder and return the files.

    Args:
        location: the table's S3 URI.
        folders: the query's temporary folders; the new folder is appended.
    """
    from ministack.services import athena, s3

    uri = S3Uri.parse(location.rstrip("/") + "/")
    bucket = s3._buckets.get(uri.bucket)
    names = sorted(
        key[len(uri.key) :]
        for key in (bucket["objects"] if bucket else ())
        if key.startswith(uri.key) and not key.endswith("/") and not athena._hidden(key[len(uri.key) :])
    )
    if not names:
        return []
    folder = Path(_query_folder())
    folders.append(str(folder))
    files = []
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # ministack overwrites an object by replacing its file, so the content of the link does not change.
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            os.link(s3._object_disk_path(uri.bucket, uri.key + name), path)
            files.append(str(path))
    return files


def _query_folder() -> str:
    """Create a folder beside the objects' files; hard links require the same file system."""
    from ministack.services import s3

    parent = Path(s3.DATA_DIR).parent / "athena"
    parent.mkdir(parents=True, exist_ok=True)
    return tempfile.mkdtemp(dir=parent)
