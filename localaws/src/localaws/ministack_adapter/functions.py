"""Set the errorType of failed Lambda functions."""

import re

from localaws.sagemaker.api.shapes import Document


def install() -> None:
    """Set a function's errorType to the class of its exception, as Lambda does."""
    from ministack.services import lambda_svc

    execute_function = lambda_svc._execute_function
    lambda_svc._execute_function = lambda function, event: _with_error_type(execute_function(function, event))


def _with_error_type(result: Document) -> Document:
    """Return a function's result with the class in the traceback's last line as errorType."""
    body = result.get("body")
    if result.get("error") and isinstance(body, dict) and body.get("errorType") == "Runtime.HandlerError":
        message = re.escape(str(body.get("errorMessage")))
        raised = re.search(rf"^([\w.]+): {message}\s*\Z", str(result.get("log")), re.MULTILINE)
        if raised:
            body["errorType"] = raised[1].rpartition(".")[2]
    return result
