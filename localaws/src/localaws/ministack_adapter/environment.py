"""Configure ministack: pinned version, environment variables and the origin of requests."""

import logging
import os

from localaws.asgi import AsgiApp
from localaws.settings import ACCOUNT_ID, HOST, ROOT_KEY, ROOT_SECRET, Settings

PINNED_VERSION = "1.5.33"


def environment(settings: Settings) -> dict[str, str]:
    """Return ministack's environment variables, most of which it reads only at import."""
    return {
        "AUTH": "true",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(settings.port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "MINISTACK_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_REGION": settings.region,
        "AWS_ACCESS_KEY_ID": ROOT_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
        "AWS_ENDPOINT_URL": settings.endpoint_url,
        "SFN_WAIT_SCALE": str(settings.wait_scale),
        "S3_PERSIST": "1",  # stores objects as files, which Athena's engine reads
        "S3_DATA_DIR": str(settings.data_dir / "s3"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
    }


def load(settings: Settings) -> AsgiApp:
    """Configure and import ministack and return its ASGI application."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)
    # The processes of functions inherit it, and would not use the bytecode that a layer contains.
    os.environ.pop("PYTHONPYCACHEPREFIX", None)
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), HOST)))
    os.environ.update(environment(settings))
    import ministack.app

    # Its warnings concern usage metrics that are not sent.
    logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)
    pin_request_origin = ministack.app.pin_request_origin
    ministack.app.pin_request_origin = lambda address, secure: pin_request_origin(address, True)
    application: AsgiApp = ministack.app.app
    return application
