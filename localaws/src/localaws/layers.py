"""Publish an installed distribution as a Lambda layer.

An SSM parameter contains the layer's ARN, like the parameters for AWS's public layers.
"""

import hashlib
import io
import py_compile
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath

import boto3
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# The distributions that the Lambda runtime provides.
IN_LAMBDA_RUNTIME = frozenset({"boto3", "botocore", "s3transfer", "urllib3", "python-dateutil", "six"})
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a constant time, the earliest of the zip format, for reproducible archives


def publish(requirement: str, parameter: str) -> str:
    """Publish a layer, unless a version has the same content, and set the parameter to the version's ARN.

    Args:
        requirement: a requirement such as "aws-lambda-powertools[tracer]"; it must be installed locally.
        parameter: the SSM parameter's name.

    Returns:
        The ARN of the layer version.

    Raises:
        PackageNotFoundError: the distribution or one of its requirements is not installed.
    """
    digest = digest_of(requirement)
    name = Requirement(requirement).name
    client = boto3.client("lambda")
    published = client.list_layer_versions(LayerName=name).get("LayerVersions", [])
    arn = next((layer["LayerVersionArn"] for layer in published if layer.get("Description") == digest), None)
    if arn is None:
        arn = client.publish_layer_version(
            LayerName=name, Description=digest, Content={"ZipFile": build(requirement)}
        )["LayerVersionArn"]
    boto3.client("ssm").put_parameter(Name=parameter, Value=arn, Type="String", Overwrite=True)
    return arn


def digest_of(requirement: str) -> str:
    """Return the hash of a layer's content: its files and this Python.

    The archive itself would not do. Bytecode of the same source differs with what the process has imported.

    Raises:
        PackageNotFoundError: the distribution or one of its requirements is not installed.
    """
    content = hashlib.sha256(sys.version.encode())
    for found in _sorted_closure(requirement):
        for member, source in _files(found):
            content.update(f"{member} {hashlib.sha256(source.read_bytes()).hexdigest()}\n".encode())
    return content.hexdigest()


def build(requirement: str) -> bytes:
    """Build the layer's zip archive with the distribution and its requirements below python/.

    Raises:
        PackageNotFoundError: the distribution or one of its requirements is not installed.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for found in _sorted_closure(requirement):
            for member, source in _files(found):
                _add(archive, f"python/{member}", source.read_bytes())
                if source.suffix == ".py":
                    _add(archive, _bytecode_path(member), _bytecode(source, member))
    return content.getvalue()


def _add(archive: zipfile.ZipFile, member: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(member, _EPOCH)
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=1)


def _bytecode_path(member: str) -> str:
    """Return where Lambda's Python looks for a module's bytecode, whatever this one's PYTHONPYCACHEPREFIX."""
    module = PurePosixPath("python", member)
    return str(module.parent / "__pycache__" / f"{module.stem}.{sys.implementation.cache_tag}.pyc")


def _bytecode(source: Path, member: str) -> bytes:
    """Compile a module, since otherwise every Lambda process would compile it after unpacking the layer."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = py_compile.compile(
            str(source),
            cfile=f"{folder}/module.pyc",
            dfile=f"/opt/python/{member}",
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        return Path(str(compiled)).read_bytes()


def _sorted_closure(requirement: str) -> list[Distribution]:
    return sorted(closure(requirement).values(), key=lambda found: found.name)


def closure(requirement: str) -> dict[str, Distribution]:
    """Return the distribution and its transitive requirements by normalized name.

    Distributions that the Lambda runtime provides are left out.

    Raises:
        PackageNotFoundError: one of them is not installed.
    """
    found: dict[str, Distribution] = {}
    queue = [Requirement(requirement)]
    while queue:
        current = queue.pop()
        name = canonicalize_name(current.name)
        if name in found or name in IN_LAMBDA_RUNTIME:
            continue
        found[name] = distribution(current.name)
        queue += _requirements(found[name], current.extras or {""})
    return found


def _requirements(found: Distribution, extras: set[str]) -> Iterator[Requirement]:
    for line in found.requires or []:
        needed = Requirement(line)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
            yield needed


def _files(found: Distribution) -> Iterator[tuple[str, Path]]:
    for file in sorted(found.files or [], key=str):
        # Skip scripts, which are outside the package folder, and existing bytecode.
        if ".." not in file.parts and file.suffix != ".pyc":
            source = Path(str(found.locate_file(file)))
            if source.is_file():
                yield file.as_posix(), source
