"""The AWS sample's application: CSV input and output with one pandas parse per request."""

import os
from io import StringIO
from pathlib import Path

import pandas  # type: ignore[import-untyped]
from flask import Flask, Response, request

from linear.model import load

app = Flask(__name__)
classifier = load(Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model")


@app.get("/ping")
def ping() -> Response:
    """Return 200 if the model is loaded, else 404."""
    return Response("\n", 200 if classifier else 404, mimetype="application/json")


@app.post("/invocations")
def invocations() -> Response:
    """Classify each row."""
    if request.content_type != "text/csv":
        return Response("This predictor only supports CSV data", 415, mimetype="text/plain")
    data = pandas.read_csv(StringIO(request.data.decode("utf-8")), header=None)
    probabilities = classifier.predict(data[0].tolist())
    answers = pandas.DataFrame(
        {
            "label": [classifier.labels[place] for place in probabilities.argmax(axis=1)],
            "probability": probabilities.max(axis=1),
        }
    )
    out = StringIO()
    answers.to_csv(out, header=False, index=False)
    return Response(out.getvalue(), 200, mimetype="text/csv")
