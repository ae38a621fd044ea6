"""Containers that violate one clause each: the check must report it with a helpful message."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from localaws.container_check.clauses import Outcome, Result

Judge = Callable[..., Result]


@dataclass(frozen=True)
class Break:
    """A modification of the correct container and the expected finding.

    Attributes:
        clause: the name of the clause to check.
        file: the file to modify.
        was: the text to replace.
        now: the replacement.
        detail: a part of the expected message.
    """

    clause: str
    file: str
    was: str
    now: str
    detail: str
    outcome: Outcome = Outcome.BROKEN
    limits: dict[str, Any] = field(default_factory=dict)


TRAINED = 'print(f"mean={mean};", flush=True)'
FAILURE = '(BASE / "output/failure").write_text(str(error))'
UNKNOWN = 'if unknown := own.keys() - {"scale", "rounds"}:'
PREDICTED = 'return "".join(f"{row - mean}\\n" for row in rows)'
MODEL = """if not MODEL.exists():
    sys.exit(f"no model at {MODEL}")
mean = float(MODEL.read_text())"""
INPUT = 'next((BASE / "input/data/train").iterdir())'

TRAIN = [
    Break("training.exit", "train", TRAINED, "raise ValueError('no data')", "exit code 1: no data"),
    Break(
        "training.exit", "train", TRAINED, "time.sleep(60)", "did not exit within 1 s", limits={"training": 1}
    ),
    Break(
        "training.model", "train", '(BASE / "model/mean.txt").write_text(str(mean * scale))', "pass", "empty"
    ),
    Break(
        "training.model", "train", TRAINED, '(BASE / "output/failure").write_text("well")', "output/failure"
    ),
    Break("training.metrics", "train", "mean={mean};", "average={mean};", "of mean matches nothing"),
    Break("training.places", "train", TRAINED, '(BASE / "result.txt").write_text("1")', "result.txt"),
    Break("training.input", "train", TRAINED, f'{INPUT}.write_text("1")', "numbers.csv"),
    Break(
        "training.own-hyperparameters",
        "train",
        'if not name.startswith(("sagemaker_", "_tuning"))',
        "",
        "unknown hyperparameters",
    ),
    Break(
        "training.more-config",
        "train",
        TRAINED,
        'assert len(json.loads((BASE / "input/config/resourceconfig.json").read_text())) == 6, "added"',
        "exit code 1: added",
    ),
    Break(
        "training.same-model",
        "train",
        "str(mean * scale)",
        "str(time.time())",
        "mean.txt",
        Outcome.NOTED,
    ),
    Break("training.unknown-hyperparameter", "train", UNKNOWN, "if unknown := set():", "exited with 0"),
    Break("training.bad-data", "train", FAILURE, "pass", "output/failure is missing or empty"),
    Break(
        "training.bad-data",
        "train",
        ".read_text().split()",
        '.read_text("latin1")[:0] or [1]',
        "exited with 0",
    ),
    Break(
        "training.bad-data",
        "train",
        FAILURE,
        '(BASE / "output/failure").write_text("Traceback (most recent call last):")',
        "begins with a traceback",
        Outcome.NOTED,
    ),
    Break("training.empty-channel", "train", "if not found:", "if False:", "division by zero", Outcome.HOLDS),
    Break(
        "training.empty-channel",
        "train",
        "if not found:",
        "found = found or [0.0]\n    if False:",
        "exited with 0",
    ),
    Break("training.missing-channel", "train", "channel.iterdir()", "channel.glob('*')", "", Outcome.HOLDS),
    Break(
        "training.sigterm",
        "train",
        "temporary.rename(CHECKPOINT)",
        "__import__('signal').signal(15, 1)\n"
        "        temporary.rename(CHECKPOINT)\n"
        "        time.sleep(5 * (rounds > 1))",
        "still running after 1 s",
        limits={"training_stop": 1},
    ),
    Break("training.resume", "train", "json.dumps(number)", '"incomplete"', "exit code 1"),
]

SERVE = [
    Break(
        "endpoint.ready",
        "serve",
        '"SAGEMAKER_BIND_TO_PORT"',
        '"PORT"',
        "SAGEMAKER_BIND_TO_PORT",
        limits={"healthy": 5},
    ),
    Break(
        "endpoint.ready",
        "serve",
        '"model/mean.txt"',
        '"model/elsewhere"',
        "exited with code 1: no model at /opt/ml/model",
    ),
    Break(
        "endpoint.ready",
        "serve",
        "server.serve_forever()",
        "time.sleep(60)",
        "GET /ping returned no response",
        limits={"healthy": 1},
    ),
    Break(
        "endpoint.ready",
        "serve",
        "rows = [float",
        "raise Refusal(503, 'still loading')\n        rows = [float",
        "503 still loading",
    ),
    Break("endpoint.no-model", "serve", "if not MODEL.exists():", "if False:", "exit code 1", Outcome.HOLDS),
    Break(
        "endpoint.no-model",
        "serve",
        MODEL,
        "mean = float(MODEL.read_text()) if MODEL.exists() else None",
        "/ping returns 200, but a request fails",
    ),
    Break(
        "endpoint.no-model",
        "serve",
        MODEL,
        "mean = 1.0",
        "without a model",
        Outcome.NOTED,
    ),
    Break("endpoint.content-types", "serve", '!= "text/csv"', '!= "text/plain"', "was 415 send text/csv"),
    Break("endpoint.rows", "serve", "for row in rows)", "for row in sorted(rows))", "row 1 of 4"),
    Break("endpoint.rows", "serve", "for row in rows)", "for row in set(rows) - {7.75})", "lines"),
    Break("endpoint.rows", "serve", "{row - mean}", "{mean}", "the same result", Outcome.NOTED),
    Break(
        "endpoint.accept",
        "serve",
        "rows = [float",
        'assert self.headers["Accept"] in (None, "text/csv")\n        rows = [float',
        "connection was closed",
    ),
    Break("endpoint.keep-alive", "serve", '"HTTP/1.1"', '"HTTP/1.0"', "closes the connection"),
    Break("endpoint.chunked", "serve", '!= "chunked"', "!= 1", "connection was closed"),
    Break(
        "endpoint.concurrent",
        "serve",
        PREDICTED,
        "global shared\n        shared = rows\n        time.sleep(0.1)\n"
        '        return "".join(f"{row - mean}\\n" for row in shared)',
        "under concurrency",
    ),
    Break(
        "endpoint.ping",
        "serve",
        "class Server(ThreadingHTTPServer):\n    daemon_threads = False\n",
        "from http.server import HTTPServer\nclass Server(HTTPServer):\n",
        "no response within 0.5 s",
        limits={"ping": 0.5},
    ),
    Break(
        "endpoint.ping",
        "serve",
        'self.answer(200, "")',
        "Server.pings = getattr(Server, 'pings', 0) + 1\n"
        "            time.sleep(3 if Server.pings == 2 else 0)\n"
        '            self.answer(200, "")',
        "1 late",
        Outcome.HOLDS,
    ),
    Break(
        "endpoint.model-untouched",
        "serve",
        'print("serving"',
        'MODEL.write_text("5")\nprint("serving"',
        "changed",
    ),
    Break(
        "endpoint.model-untouched",
        "serve",
        'print("serving"',
        '(MODEL.parents[1] / "cache").mkdir()\nprint("serving"',
        "cache",
    ),
]

REFUSALS = [
    Break("refusal.empty", "serve", "if not rows:", "if False:", "the response to an empty body was 200"),
    Break(
        "refusal.malformed",
        "serve",
        "except ValueError as error:",
        "except KeyError as error:",
        "connection was closed",
    ),
    Break(
        "refusal.malformed",
        "serve",
        "self.answer(400, str(error))",
        "self.answer(500, str(error))",
        "was 500",
    ),
    Break(
        "refusal.malformed",
        "serve",
        "self.answer(400, str(error))",
        "time.sleep(60)",
        "no response within 1 s",
        limits={"invocation": 1},
    ),
    Break(
        "refusal.malformed",
        "serve",
        "self.answer(400, str(error))",
        'self.answer(400, "")',
        "without a message",
    ),
    Break(
        "refusal.malformed",
        "serve",
        "self.answer(400, str(error))",
        'server.socket.close()\n            self.answer(400, "bad")\n            os._exit(3)',
        "a valid request fails",
    ),
    Break(
        "refusal.content-type",
        "serve",
        '!= "text/csv"',
        "is None",
        "application/x-unheard-of was 200",
    ),
    Break("refusal.too-large", "serve", "raise Refusal(413", "os._exit(137", "connection was closed"),
    Break("refusal.too-large", "serve", "if len(body) > LIMIT:", "if False:", "at most 2", Outcome.NOTED),
]

TRANSFORM = [
    Break("transform.parameters", "serve", '"BatchStrategy": "MULTI_RECORD", ', "", "BatchStrategy is None"),
    Break("transform.parameters", "serve", '"MULTI_RECORD"', '"MultiRecord"', "must be MULTI_RECORD"),
    Break("transform.parameters", "serve", '"MaxPayloadInMB": 6', '"MaxPayloadInMB": 60', "more than 100"),
    Break("transform.parameters", "serve", "json.dumps(PARAMETERS)", "str(PARAMETERS)", "not JSON"),
    Break(
        "transform.parameters",
        "serve",
        "self.answer(200, json.dumps(PARAMETERS))",
        'self.answer(404, "")',
        "404",
        Outcome.NOTED,
    ),
    Break(
        "transform.single-record",
        "serve",
        "body.decode().splitlines()",
        'body.decode().split("\\n")',
        "was 400",
    ),
    Break("transform.multi-record", "serve", "for row in rows)", "for row in rows[:1000])", "1,000 lines"),
    Break(
        "transform.multi-record",
        "serve",
        "for row in rows)",
        "for row in (sorted(rows) if len(rows) > 1000 else rows))",
        "another result than in its own request",
    ),
    Break(
        "transform.too-large",
        "serve",
        "if len(body) > LIMIT:",
        "if len(body) > LIMIT * 9:",
        "accepts 4 MB",
        Outcome.NOTED,
    ),
]

SHUTDOWN = [
    Break(
        "shutdown.sigterm",
        "serve",
        "threading.Thread(target=server.shutdown).start()",
        "pass",
        "still running after 1 s",
        limits={"serving_stop": 1},
    ),
    Break("shutdown.sigterm", "serve", "stopping.set()\n", "os._exit(0)\n", "a request in progress was lost"),
    Break(
        "shutdown.sigterm",
        "serve",
        "server.server_close()",
        "server.server_close()\nsys.exit(3)",
        "exited with code 3",
    ),
]

FOLDER = [
    Break("folder.requirements", "requirements.txt", "# Nothing", "numpy>=2\n# Nothing", "numpy>=2"),
    Break("folder.dockerfile", "Dockerfile", 'CMD ["serve"]', "CMD serve", "CMD serve is run by a shell"),
    Break(
        "folder.dockerfile",
        "Dockerfile",
        "accept-bind-to-port",
        "x",
        "cannot share an endpoint",
        Outcome.NOTED,
    ),
]


@pytest.mark.parametrize(
    "broken",
    [*TRAIN, *SERVE, *REFUSALS, *TRANSFORM, *SHUTDOWN, *FOLDER],
    ids=lambda broken: f"{broken.clause}: {broken.now[:40]}",
)
def test_a_violation_is_reported(broken: Break, folder: Path, judge: Judge) -> None:
    path = folder / broken.file
    text = path.read_text()
    assert broken.was in text
    path.write_text(text.replace(broken.was, broken.now))
    result = judge(broken.clause, **broken.limits)
    assert result.outcome is broken.outcome, result
    assert broken.detail in result.detail
