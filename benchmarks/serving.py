"""Compare `serve` with the serving stack of the AWS sample, MLServer and LitServe.

All servers use the same model object, trained on the input rows, and receive the same texts, one per request.
They run one after the other on the same cores, with one model process per core. The sample's stack (nginx,
gunicorn with gevent workers, Flask, one pandas parse per request) reads CSV and the others JSON; `serve` is
measured with both. wrk runs on the same machine with 1, 8 and 64 clients, so all figures include its CPU
time. No server logs requests. The bounds are for requests per second, at the number of clients with the
smallest lead. wrk counts failed responses as responses, so `serve` must not have any.
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
from benchmarks.containers import IMAGES, SERVE_LOG, SHOWN_LINES, Containers, pid
from benchmarks.errors import BenchmarkError
from benchmarks.load import Load, Requests
from benchmarks.report import Bound, Report, table

PEERS = Path(__file__).parent / "peers"
PROGRAMS = ("wrk", "nginx")
CLIENTS = (1, 8, 64)
SECONDS = 6
TRAIN_ROWS = 25_000
TEXTS = 200  # different requests
MIN_LEAD_OVER_SAMPLE = 3.0
MIN_LEAD = 1.0
WARM_UP_SECONDS = 2
COMPARED = 20  # texts whose predictions must be the same for all servers
TOLERANCE = 1e-4  # of a probability
OWN_ENVIRONMENT = {"SERVE_ACCESS_LOG": "off"}  # like the peers
# The peers' environments contain the model's requirements; the model's code is in the image folders.
PEER_ENVIRONMENT = {"PYTHONPATH": f"{IMAGES / 'linear'}:{IMAGES / 'toolkit'}"}


@dataclass(frozen=True)
class Stack:
    """A server and its request format.

    Attributes:
        body: returns the request body for a text.
        read: returns the label and its probability from a response.
        limit: the minimum requests per second of `serve` relative to this server's; 0 for `serve` itself.
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
        """Whether this is another server than `serve`."""
        return self.limit > 0

    def requests(self, texts: Sequence[str]) -> Requests:
        """Return the requests for texts."""
        return Requests(self.path, {"Content-Type": self.type}, [self.body(text) for text in texts])

    def classify(self, port: int, text: str) -> tuple[str, float]:
        """Send a text and return its label and probability."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{self.path}", self.body(text).encode(), {"Content-Type": self.type}
        )
        without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with without_proxy.open(request, timeout=60) as response:
            return self.read(response.read().decode())


@dataclass(frozen=True)
class Served:
    """The measurements of a server.

    Attributes:
        microseconds: the CPU time per request of all its processes, with the most clients.
        megabytes: the memory of all its processes (PSS, which counts shared memory once).
    """

    name: str
    loads: tuple[Load, ...]
    microseconds: float
    megabytes: float

    @property
    def failed(self) -> int:
        """The failed responses with all numbers of clients."""
        return sum(one.failed for one in self.loads)


def csv_line(text: str) -> str:
    """Return a text as a CSV record."""
    target = io.StringIO()
    csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow([text])
    return target.getvalue()


def of_csv(response: str) -> tuple[str, float]:
    """Parse a CSV record of a label and its probability."""
    label, probability = next(csv.reader([response]))
    return label, float(probability)


def of_serve(response: str) -> tuple[str, float]:
    """Parse the JSON of `serve`."""
    content = json.loads(response)
    return content["label"], content["probabilities"][content["label"]]


def of_litserve(response: str) -> tuple[str, float]:
    """Parse the JSON of the LitServe peer."""
    content = json.loads(response)
    return content["label"], content["probability"]


def inference(text: str) -> str:
    """Return a request of the V2 inference protocol."""
    field = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}
    return json.dumps({"inputs": [field]})


def of_inference(response: str) -> tuple[str, float]:
    """Parse a response of the V2 inference protocol."""
    label, probability = json.loads(response)["outputs"]
    return label["data"][0], probability["data"][0]


def json_row(text: str) -> str:
    """Return a JSON row with a text."""
    return json.dumps({"text": text})


JSON, CSV = "application/json", "text/csv"
OWN = {
    JSON: Stack("serve, JSON", "linear", "/invocations", JSON, json_row, of_serve),
    CSV: Stack("serve, CSV", "linear", "/invocations", CSV, csv_line, of_csv),
}
SAMPLE = "nginx, gunicorn, Flask, pandas"
OTHERS = (
    Stack(SAMPLE, "sample", "/invocations", CSV, csv_line, of_csv, limit=MIN_LEAD_OVER_SAMPLE),
    Stack(
        "MLServer",
        "mlserver",
        "/v2/models/linear/infer",
        JSON,
        inference,
        of_inference,
        "/v2/models/linear/ready",
        MIN_LEAD,
    ),
    Stack("LitServe", "litserve", "/predict", JSON, json_row, of_litserve, "/health", MIN_LEAD),
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser("serving", __doc__)
    result.add_argument(
        "--seconds",
        type=command.positive,
        default=SECONDS,
        help="seconds per number of clients (default: %(default)s)",
    )
    result.add_argument(
        "--only", metavar="NAME", help="compare only with the peer in the folder of this name"
    )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    options = parser().parse_args(arguments)
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        raise BenchmarkError(f"{', '.join(missing)} not found: apt-get install {' '.join(missing)}")
    all_rows = rows.load(options.data)
    texts = [row.text for row in all_rows[-TEXTS:]]
    kind = "real" if options.data else "generated"
    mean = sum(map(len, texts)) / len(texts)
    report = Report(
        "serving", f"{len(texts)} {kind} texts of {mean:,.0f} characters on average, one per request"
    )
    others = [stack for stack in OTHERS if options.only in (None, stack.folder)]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        served = measure(
            Path(folder), all_rows[:TRAIN_ROWS], texts, [*OWN.values(), *others], options.seconds
        )
    return conclude(report, served, others).conclude(options.json)


def measure(
    folder: Path,
    train_rows: Sequence[rows.Row],
    texts: Sequence[str],
    stacks: Sequence[Stack],
    seconds: int,
) -> dict[str, Served]:
    """Train a model and measure each server with it."""
    own, peers = Containers(folder / "environments"), Containers(folder / "environments", PEERS)
    own.prepare("linear")
    peers.prepare(*(stack.folder for stack in stacks if stack.peer))
    trained = train(own, folder / "train", train_rows)
    served: dict[str, Served] = {}
    expected: list[tuple[str, float]] = []
    for stack in stacks:
        base = folder / stack.name.partition(",")[0]
        shutil.copytree(trained, base / "model", dirs_exist_ok=True)
        containers = peers if stack.peer else own
        environment = PEER_ENVIRONMENT if stack.peer else OWN_ENVIRONMENT
        with containers.serving(stack.folder, base, environment, stack.ping) as port:
            found = [stack.classify(port, text) for text in texts[:COMPARED]]
            expected = expected or found
            check_agreement(stack, expected, found)
            served[stack.name] = measure_load(stack, port, texts, base, seconds)
        print_served(served[stack.name], base / SERVE_LOG)
    return served


def train(containers: Containers, base: Path, train_rows: Sequence[rows.Row]) -> Path:
    """Train a model and return its folder."""
    channel = base / "input/data/train"
    channel.mkdir(parents=True)
    with (channel / "train.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": row.text, "label": row.label}) + "\n" for row in train_rows)
    containers.run("linear", ["train"], base, {})
    return base / "model"


def check_agreement(
    stack: Stack, expected: Sequence[tuple[str, float]], found: Sequence[tuple[str, float]]
) -> None:
    """Check that a server returns the same predictions as `serve`.

    Raises:
        BenchmarkError: A label or probability differs.
    """
    for (label, probability), (other, other_probability) in zip(expected, found, strict=True):
        if label != other or abs(probability - other_probability) > TOLERANCE:
            raise BenchmarkError(
                f"{stack.name} returns {other} ({other_probability:.4f}), but serve returns {label} "
                f"({probability:.4f})"
            )


def measure_load(stack: Stack, port: int, texts: Sequence[str], base: Path, seconds: int) -> Served:
    """Run wrk with each number of clients."""
    script = stack.requests(texts).write(base / "load.lua")
    load.run_wrk(port, script, CLIENTS[1], WARM_UP_SECONDS)
    process = psutil.Process(pid(base))
    loads = []
    for clients in CLIENTS:
        before = processor_seconds(process)
        loads.append(load.run_wrk(port, script, clients, seconds))
        used = processor_seconds(process) - before
    tree = [process, *process.children(recursive=True)]
    memory = sum(one.memory_full_info().pss for one in tree)
    return Served(stack.name, tuple(loads), used / loads[-1].answered * 1e6, memory / 1e6)


def processor_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process and its child processes."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def print_served(served: Served, log: Path) -> None:
    """Print a server's rates, and the end of its log if requests failed."""
    rates = ", ".join(f"{one.per_second:,.0f}" for one in served.loads)
    clients = ", ".join(map(str, CLIENTS))
    print(f"{served.name}: {rates} requests per second with {clients} clients", flush=True)
    if served.failed:
        lines = log.read_text("utf-8").splitlines()[-SHOWN_LINES:]
        print(f"    {served.failed:,} requests failed. Last output:", *lines, sep="\n    ", flush=True)


def conclude(report: Report, served: dict[str, Served], stacks: Sequence[Stack]) -> Report:
    """Compare `serve` with each peer, both with the same format."""
    head = ("", *(f"{what}, {clients}" for clients in CLIENTS for what in ("req/s", "p50 ms", "p99 ms")))
    print(f"\n{table(head, [(one.name, *cells(one.loads)) for one in served.values()])}\n")
    costs = [(one.name, round(one.microseconds), round(one.megabytes), one.failed) for one in served.values()]
    print(table(("", "CPU us per request", "MB", "failed"), costs))
    report.figures = {name: asdict(one) for name, one in served.items()}
    report.bounds = [
        Bound(
            f"requests per second as a multiple of {stack.name}'s, the minimum for {CLIENTS} clients",
            min_lead(served[OWN[stack.type].name], served[stack.name]),
            stack.limit,
            at_least=True,
        )
        for stack in stacks
    ]
    report.bounds += [
        Bound(f"failed requests of {own.name}", served[own.name].failed, 0) for own in OWN.values()
    ]
    return report


def cells(loads: Sequence[Load]) -> list[object]:
    """Return the table cells for all numbers of clients."""
    return [cell for one in loads for cell in (round(one.per_second), f"{one.p50:.2f}", f"{one.p99:.2f}")]


def min_lead(own: Served, peer: Served) -> float:
    """Return the requests per second as a multiple of the peer's, the minimum of all numbers of clients."""
    return min(
        mine.per_second / theirs.per_second for mine, theirs in zip(own.loads, peer.loads, strict=True)
    )


if __name__ == "__main__":
    command.run(main)
