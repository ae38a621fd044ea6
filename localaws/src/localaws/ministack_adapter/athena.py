"""Athena: leave for the workgroup that a query runs in, UNLOAD, and tables' files without a copy."""

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

CANCEL_SECONDS = 0.1  # between two looks at whether a query was stopped
REASON_CHARACTERS = 2000  # of why a query failed


def install() -> None:
    """Add what Athena lacks."""
    from ministack.services import athena

    _name_workgroups()
    _add_unload()
    athena._materialize_table_files = _link_table_files


def _name_workgroups() -> None:
    """Let what asks for a query, or about one, need leave for its workgroup, as on AWS."""
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
        named = "QueryExecutionId" in request or "QueryString" in request
        return f"arn:aws:athena:{region}:{account}:workgroup/{workgroup}" if named else found

    iam_actions.extract_resource_arn = resource_arn


class _QueryCancelledError(Exception):
    """StopQueryExecution came while the query ran."""


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
    """Run a query that ministack has accepted, and tell its end in ministack's record of it."""
    status, began = execution["Status"], time.monotonic()
    execution["StatementType"] = "DML"
    status["State"] = "RUNNING"
    try:
        await _unloaded(execution, database, catalog)
        state, reason = "SUCCEEDED", ""
    except Exception as error:
        state, reason = "FAILED", str(error)[:REASON_CHARACTERS]
    elapsed = int((time.monotonic() - began) * 1000)
    execution["Statistics"] |= {"EngineExecutionTimeInMillis": elapsed, "TotalExecutionTimeInMillis": elapsed}
    if status["State"] == "RUNNING":  # and not stopped meanwhile
        status |= {"State": state, "StateChangeReason": reason, "CompletionDateTime": int(time.time())}


async def _unloaded(execution: Document, database: str, catalog: str | None) -> None:
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
    """S3 as whoever signed the request that this thread works for."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_region

    if machine_role.get() is not None:
        raise UnloadError("NOT_SUPPORTED: UNLOAD in a state machine's own task is not supported locally")
    # ministack checks no root key's signature, and lets nobody pass without any key.
    caller = iam_evaluator.resolve_credential(iam_evaluator._verified_key.get() or ROOT_KEY, ACCOUNT_ID)
    if not isinstance(caller, iam_evaluator.ResolvedCredential):
        raise UnloadError(f"ACCESS_DENIED: the caller's credentials have ended: {caller.message}")
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
    """Kept, since a new one would read botocore's models anew."""
    return boto3.Session()


def _link_table_files(location: str, folders: list[str]) -> list[str]:
    """The objects under a table's location as files in a new folder, which is added to the query's."""
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
        # ministack replaces an object's file by another one, so what is linked does not change.
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            os.link(s3._object_disk_path(uri.bucket, uri.key + name), path)
            files.append(str(path))
    return files


def _query_folder() -> str:
    """A new folder beside the objects, and so on their file system."""
    from ministack.services import s3

    parent = Path(s3.DATA_DIR).parent / "athena"
    parent.mkdir(parents=True, exist_ok=True)
    return tempfile.mkdtemp(dir=parent)
