"""Serving a classifier: the product's `serve` against the known sample's stack, MLServer and LitServe.

All wrap the same model object, trained on the rows that are given, and answer the same real texts, one a
request, one server after the other on the same cores, two processes for the model where there are two cores.
The sample's stack (nginx, gunicorn with gevent workers, Flask, one pandas parse a request) reads CSV, the
others JSON; the product does both. wrk asks with 1, 8 and 64 clients on the same machine, so its own work is
in every figure; no server writes a log of requests. The bounds are for requests a second, at the number of
clients where the product leads by least, and wrk counts a failed answer as one: the product may have none.
"""

import argparse
import csv
import io
import json
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks import command, load, rows
from benchmarks.containers import IMAGES, SERVE_LOG, TOLD_LINES, Containers, pid
from benchmarks.errors import BenchmarkError
from benchmarks.load import Load, Shots
from benchmarks.report import Bound, Report, table

PEERS = Path(__file__).parent / "peers"
PROGRAMS = ("wrk", "nginx")
CLIENTS = (1, 8, 64)
SECONDS = 6
TRAINED = 25_000
TEXTS = 200  # as many different requests
TIMES_THE_SAMPLE = 3.0
AHEAD = 1.0
WARM_UP_SECONDS = 2
COMPARED = 20  # texts that all have to answer alike
AGREEMENT = 1e-4  # of a probability
OWN_ENVIRONMENT = {"SERVE_ACCESS_LOG": "off"}  # as the peers'
# The peers' environments have what the model needs; its code is the image folder's own.
PEER_ENVIRONMENT = {"PYTHONPATH": f"{IMAGES / 'linear'}:{IMAGES / 'toolkit'}"}


@dataclass(frozen=True)
class Stack:
    """A server, and how it is asked.

    Attributes:
        body: A request for one text.
        read: The label and its probability in an answer.
        limit: How many times its requests a second the product has to answer; 0 for the product itself.
    """

    name: str
    folder: str
    path: str
    type: str
    body: Callable[[str], str]
    read: Callable[[str], tuple[str, float]]
    ping: str = "/ping"
    limit: float = 0

    @property
    def peer(self) -> bool:
        """Whether it is not the product."""
        return self.limit > 0

    def shots(self, texts: Sequence[str]) -> Shots:
        """The requests for texts."""
        return Shots(self.path, {"Content-Type": self.type}, [self.body(text) for text in texts])

    def ask(self, port: int, text: str) -> tuple[str, float]:
        """The label of one text, and its probability."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{self.path}", self.body(text).encode(), {"Content-Type": self.type}
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=60) as answer:
            return self.read(answer.read().decode())


@dataclass(frozen=True)
class Served:
    """What a stack did.

    Attributes:
        microseconds: Of processor time of all its processes for a request, with the most clients.
        megabytes: Of memory, of all its processes (PSS: what they share is counted once).
    """

    name: str
    loads: tuple[Load, ...]
    microseconds: float
    megabytes: float

    @property
    def failed(self) -> int:
        """Answers that were none, with any number of clients."""
        return sum(one.failed for one in self.loads)


def csv_line(text: str) -> str:
    """A text as a record of CSV."""
    target = io.StringIO()
    csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow([text])
    return target.getvalue()


def of_csv(answer: str) -> tuple[str, float]:
    """A record of a label and its probability."""
    label, probability = next(csv.reader([answer]))
    return label, float(probability)


def of_serve(answer: str) -> tuple[str, float]:
    """The product's JSON."""
    content = json.loads(answer)
    return content["label"], content["probabilities"][content["label"]]


def of_litserve(answer: str) -> tuple[str, float]:
    """What the peer's API returns."""
    content = json.loads(answer)
    return content["label"], content["probability"]


def inference(text: str) -> str:
    """A request of the V2 inference protocol."""
    field = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}
    return json.dumps({"inputs": [field]})


def of_inference(answer: str) -> tuple[str, float]:
    """An answer of the V2 inference protocol."""
    label, probability = json.loads(answer)["outputs"]
    return label["data"][0], probability["data"][0]


def json_row(text: str) -> str:
    """A row with a text."""
    return json.dumps({"text": text})


JSON, CSV = "application/json", "text/csv"
OWN = {
    JSON: Stack("serve, JSON", "linear", "/invocations", JSON, json_row, of_serve),
    CSV: Stack("serve, CSV", "linear", "/invocations", CSV, csv_line, of_csv),
}
SAMPLE = "nginx, gunicorn, Flask, pandas"
OTHERS = (
    Stack(SAMPLE, "sample", "/invocations", CSV, csv_line, of_csv, limit=TIMES_THE_SAMPLE),
    Stack(
        "MLServer",
        "mlserver",
        "/v2/models/linear/infer",
        JSON,
        inference,
        of_inference,
        "/v2/models/linear/ready",
        AHEAD,
    ),
    Stack("LitServe", "litserve", "/predict", JSON, json_row, of_litserve, "/health", AHEAD),
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = command.parser("serving", __doc__)
    it.add_argument(
        "--seconds", type=command.positive, default=SECONDS, help="of each load (default: %(default)s)"
    )
    it.add_argument("--only", metavar="NAME", help="the product and the peer whose folder has this name")
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit code."""
    options = parser().parse_args(arguments)
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        raise BenchmarkError(f"there is no {', '.join(missing)}: apt-get install {' '.join(missing)}")
    given = rows.load(options.data)
    texts = [row.text for row in given[-TEXTS:]]
    kind = "given" if options.data else "generated"
    mean = sum(map(len, texts)) / len(texts)
    report = Report(
        "serving", f"{len(texts)} {kind} texts of {mean:,.0f} characters on average, one a request"
    )
    others = [stack for stack in OTHERS if options.only in (None, stack.folder)]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        served = measure(Path(folder), given[:TRAINED], texts, [*OWN.values(), *others], options.seconds)
    return conclude(report, served, others).conclude(options.json)


def measure(
    folder: Path, given: Sequence[rows.Row], texts: Sequence[str], stacks: Sequence[Stack], seconds: int
) -> dict[str, Served]:
    """Train a model, have each stack serve it."""
    own, peers = Containers(folder / "environments"), Containers(folder / "environments", PEERS)
    own.prepare("linear")
    peers.prepare(*(stack.folder for stack in stacks if stack.peer))
    trained = train(own, folder / "train", given)
    served: dict[str, Served] = {}
    answers: list[tuple[str, float]] = []
    for stack in stacks:
        base = folder / stack.name.partition(",")[0]
        shutil.copytree(trained, base / "model", dirs_exist_ok=True)
        containers = peers if stack.peer else own
        environment = PEER_ENVIRONMENT if stack.peer else OWN_ENVIRONMENT
        with containers.serving(stack.folder, base, environment, stack.ping) as port:
            found = [stack.ask(port, text) for text in texts[:COMPARED]]
            answers = answers or found
            agree(stack, answers, found)
            served[stack.name] = attack(stack, port, texts, base, seconds)
        tell(served[stack.name], base / SERVE_LOG)
    return served


def train(containers: Containers, base: Path, given: Sequence[rows.Row]) -> Path:
    """The folder of a model of these rows."""
    channel = base / "input/data/train"
    channel.mkdir(parents=True)
    with (channel / "train.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": row.text, "label": row.label}) + "\n" for row in given)
    containers.run("linear", ["train"], base, {})
    return base / "model"


def agree(stack: Stack, expected: Sequence[tuple[str, float]], found: Sequence[tuple[str, float]]) -> None:
    """Refuse to measure a stack that answers something else."""
    for (label, probability), (other, others) in zip(expected, found, strict=True):
        if label != other or abs(probability - others) > AGREEMENT:
            raise BenchmarkError(
                f"{stack.name} answers {other} ({others:.4f}) where serve answers {label} ({probability:.4f})"
            )


def attack(stack: Stack, port: int, texts: Sequence[str], base: Path, seconds: int) -> Served:
    """Let wrk ask, with few clients and with many."""
    script = stack.shots(texts).write(base / "load.lua")
    load.fire(port, script, CLIENTS[1], WARM_UP_SECONDS)
    process = psutil.Process(pid(base))
    loads = []
    for clients in CLIENTS:
        before = processor_seconds(process)
        loads.append(load.fire(port, script, clients, seconds))
        used = processor_seconds(process) - before
    tree = [process, *process.children(recursive=True)]
    memory = sum(one.memory_full_info().pss for one in tree)
    return Served(stack.name, tuple(loads), used / loads[-1].answered * 1e6, memory / 1e6)


def processor_seconds(process: psutil.Process) -> float:
    """What a process and all that it started have used."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def tell(served: Served, log: Path) -> None:
    """Say how one went, and what it said if it failed."""
    rates = ", ".join(f"{one.per_second:,.0f}" for one in served.loads)
    print(f"{served.name}: {rates} requests a second with {', '.join(map(str, CLIENTS))} clients", flush=True)
    if served.failed:
        lines = log.read_text("utf-8").splitlines()[-TOLD_LINES:]
        print(f"    {served.failed:,} answers failed; it said last:", *lines, sep="\n    ", flush=True)


def conclude(report: Report, served: dict[str, Served], stacks: Sequence[Stack]) -> Report:
    """Compare the product with each peer, both asked in the same format."""
    head = ("", *(f"{what}, {clients}" for clients in CLIENTS for what in ("req/s", "p50 ms", "p99 ms")))
    print(f"\n{table(head, [(one.name, *cells(one.loads)) for one in served.values()])}\n")
    costs = [(one.name, round(one.microseconds), round(one.megabytes), one.failed) for one in served.values()]
    print(table(("", "CPU us a request", "MB", "failed"), costs))
    report.figures = {name: asdict(one) for name, one in served.items()}
    report.bounds = [
        Bound(
            f"times the requests a second of {stack.name}, where it is least of {CLIENTS} clients",
            least_lead(served[OWN[stack.type].name], served[stack.name]),
            stack.limit,
            at_least=True,
        )
        for stack in stacks
    ]
    report.bounds += [
        Bound(f"failed answers of {own.name}", served[own.name].failed, 0) for own in OWN.values()
    ]
    return report


def cells(loads: Sequence[Load]) -> list[object]:
    """What the table says of each number of clients."""
    return [cell for it in loads for cell in (round(it.per_second), f"{it.p50:.2f}", f"{it.p99:.2f}")]


def least_lead(own: Served, peer: Served) -> float:
    """How many times the peer's requests a second, where the product leads by least."""
    return min(
        mine.per_second / theirs.per_second for mine, theirs in zip(own.loads, peer.loads, strict=True)
    )


if __name__ == "__main__":
    command.run(main)
