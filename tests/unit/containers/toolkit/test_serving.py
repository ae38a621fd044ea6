import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.unit.containers.toolkit.toolkit_server import CSV, JSON, JSON_LINES, Answer, Server, obedient

ROOT = Path(__file__).parents[4]
MEGABYTES = 2
PATIENCE = 120.0  # seconds
Start = Callable[..., Server]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = obedient(
        tmp_path_factory.mktemp("serve"), "Explaining", SAGEMAKER_MAX_PAYLOAD_IN_MB=str(MEGABYTES)
    )
    yield server
    server.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server of one's own."""
    servers: list[Server] = []

    def start(model: str = "Obedient", **environment: str) -> Server:
        servers.append(obedient(tmp_path, model, **environment))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@dataclass
class Held:
    """Requests of a server that its model has in work until they are let go."""

    server: Server
    clients: ThreadPoolExecutor
    file: Path

    @property
    def order(self) -> str:
        """The text that is held."""
        return f"hold {self.file}"

    def in_work(self, *texts: str) -> list[Future[Answer]]:
        """Ask, until the server has all of them besides what it had."""
        before = self.server.metric("serve_requests_in_work")
        futures = [self.clients.submit(self.server.classify, text) for text in texts]
        until(lambda: self.server.metric("serve_requests_in_work") == before + len(texts))
        return futures

    def let_go(self) -> None:
        """Let the model go on."""
        self.file.touch()


Hold = Callable[[Server], Held]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """Keep a server at work."""
    with ThreadPoolExecutor(8) as clients:
        yield lambda server: Held(server, clients, tmp_path / "let-go")
        (tmp_path / "let-go").touch()


def test_answers_each_content_type(server: Server) -> None:
    lines = server.invoke('{"id": "a", "text": "so good"}\n\n{"text": "bad", "id": 7}\r\n', JSON_LINES)
    assert (lines.status, lines.type) == (200, JSON_LINES)
    assert [(line["id"], line["label"]) for line in lines.lines()] == [("a", "pos"), (7, "neg")]
    assert lines.lines()[0]["probabilities"] == {"neg": 0.268941, "pos": 0.731059}
    one = server.invoke('{"text": "bad"}', JSON + "; charset=utf-8")
    assert (one.type, one.content["label"]) == (JSON, "neg")
    assert server.invoke('{"instances": ["bad"]}', JSON).content == {"predictions": [one.content]}
    table = server.invoke('bad\n"good, good"\n', CSV)
    assert (table.type, table.body) == ("text/csv; charset=utf-8", "neg,0.731059\npos,0.880797\n")
    assert server.invoke("good", CSV, JSON).content == [
        {"label": "pos", "probabilities": {"neg": 0.268941, "pos": 0.731059}}
    ]


def test_a_request_with_a_header_has_one_answer_per_row(server: Server) -> None:
    body = (ROOT / "tests/cases/request-with-header.csv").read_text()
    answer = server.invoke(body, "text/csv; header=present")
    assert (answer.status, answer.body.count("\n")) == (200, body.count("\n") - 1)
    assert server.invoke(body, CSV).body.count("\n") == body.count("\n")
    assert server.invoke(body, "text/csv; header=maybe").status == 415


def test_explains_the_rows_that_want_it(server: Server, start: Start) -> None:
    rows = '[{"text": "good bad good", "explain": 2}, {"text": "good"}]'
    first, second = server.invoke(rows, JSON).content
    assert first["explanation"] == [{"text": "good", "weight": 1.0}, {"text": "bad", "weight": -1.0}]
    assert "explanation" not in second
    table = server.invoke(rows, JSON, CSV)
    assert table.content == {"error": "CSV cannot hold an explanation; accept application/json"}
    other = start("Obedient").invoke(rows, JSON)
    assert (other.status, other.content["error"]) == (
        400,
        "this model does not support explanations; remove 'explain'",
    )


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        ('{"text": "a"}\n{"text": "b"', JSON_LINES, 400, "line 2: not JSON"),
        (b'{"text": "a"}\n\xff', JSON_LINES, 400, "line 2: not UTF-8: byte 0xff"),
        ("", JSON, 400, "not JSON"),
        ('"c', CSV, 400, "line 1: not CSV"),
        ("x" * (MEGABYTES << 20) + "x", CSV, 413, f"the request is larger than {MEGABYTES << 20:,} bytes"),
        ("a", "image/png", 415, "content type 'image/png' is not supported; send application/jsonlines"),
        ('{"text": "fail"}', JSON, 500, "the model failed with ZeroDivisionError"),
        ('{"text": "wrong"}', JSON, 500, "the model failed with TypeError"),
    ],
)
def test_refuses_with_a_reason(
    server: Server, body: str | bytes, content_type: str, status: int, reason: str
) -> None:
    answer = server.invoke(body, content_type)
    assert (answer.status, answer.type) == (status, JSON)
    assert answer.content["error"].startswith(reason)


def test_an_error_of_the_model_is_in_the_log(server: Server) -> None:
    server.classify("fail")
    assert "ZeroDivisionError: fail" in server.log.read_text()


def test_refuses_an_answer_type_that_it_does_not_have(server: Server) -> None:
    answer = server.invoke("a", CSV, "image/png, text/csv;q=0")
    assert answer.status == 406
    assert "accept application/jsonlines" in answer.content["error"]


def test_other_paths_and_methods(server: Server) -> None:
    assert server.request("GET", "/elsewhere").status == 404
    wrong = server.request("GET", "/invocations")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert server.request("POST", "/ping").status == 405
    parameters = server.request("GET", "/execution-parameters").content
    assert parameters["BatchStrategy"] == "MULTI_RECORD"
    assert parameters["MaxPayloadInMB"] == MEGABYTES
    assert parameters["MaxConcurrentTransforms"] == 1  # as many as can answer at the same time


def test_a_request_without_a_length_has_the_limit_too(server: Server) -> None:
    chunks = (b"x" * (1 << 20) for _ in range(MEGABYTES + 1))
    answer = server.request("POST", "/invocations", chunks, Content_Type=CSV)
    assert answer.status == 413
    assert server.metric("serve_requests_in_work") == 0


def test_an_answer_has_the_id_that_the_caller_gave_or_a_new_one(server: Server) -> None:
    body = '{"text": "good"}'
    assert server.invoke(body, JSON, X_Request_Id="mine").headers["x-request-id"] == "mine"
    both = {"X_Request_Id": "mine", "X_Amzn_SageMaker_Inference_Id": "theirs"}
    assert server.invoke(body, JSON, **both).headers["x-request-id"] == "theirs"
    made = {server.invoke(body, JSON, X_Request_Id="not one").headers["x-request-id"] for _ in range(2)}
    assert len(made) == 2
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in made)
    assert server.invoke("[", JSON, X_Request_Id="bad").headers["x-request-id"] == "bad"


def test_each_request_is_a_line_in_the_log(server: Server) -> None:
    server.invoke('["good", "bad"]', JSON, X_Request_Id="logged-1")
    server.invoke("[", JSON, X_Request_Id="logged-2")
    server.request("GET", "/ping", X_Request_Id="logged-3")
    server.request("GET", "/moon", X_Request_Id="logged-4")
    until(lambda: any(line["id"] == "logged-4" for line in server.access_log()))
    lines = {line["id"]: line for line in server.access_log() if line["id"].startswith("logged")}
    assert {key: (line["path"], line["status"], line["rows"]) for key, line in lines.items()} == {
        "logged-1": ("/invocations", 200, 2),
        "logged-2": ("/invocations", 400, 0),
        "logged-4": ("/moon", 404, 0),
    }
    assert lines["logged-1"]["bytes"] == 15
    assert lines["logged-1"]["ms"] > 0


def test_the_log_can_be_switched_off(start: Start) -> None:
    server = start(SERVE_ACCESS_LOG="off")
    assert server.classify("good").status == 200
    assert server.stop() == 0
    assert server.access_log() == []


def test_metrics_count_what_was_answered(start: Start) -> None:
    server = start()
    server.invoke('["good", "bad"]', JSON)
    server.invoke("[", JSON)
    server.request("GET", "/ping")
    server.request("GET", "/invocations")
    answer = server.request("GET", "/metrics")
    assert answer.type.startswith("text/plain; version=0.0.4")
    assert server.metric('serve_requests_total{status="200"}') == 1
    assert server.metric('serve_requests_total{status="400"}') == 1
    assert server.metric('serve_requests_total{status="405"}') == 1
    assert server.metric("serve_rows_total") == 2
    assert server.metric("serve_model_calls_total") == 1
    assert server.metric('serve_request_seconds_bucket{le="+Inf"}') == 3
    assert server.metric("serve_request_seconds_count") == 3


def test_more_than_it_takes_on_is_refused_at_once(start: Start, hold: Hold) -> None:
    server = start(SERVE_REQUESTS="3")
    held = hold(server)
    taken = held.in_work(*[held.order] * 3)
    refused = [server.classify("good") for _ in range(5)]
    assert {answer.status for answer in refused} == {503}
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].content["error"] == "too busy: 3 requests are in work or waiting; try again"
    held.let_go()
    assert [each.result().status for each in taken] == [200] * 3
    assert server.classify("good").status == 200
    assert server.metric('serve_requests_total{status="503"}') == 5


def test_more_bytes_than_it_holds_are_refused(start: Start, hold: Hold) -> None:
    server = start(SAGEMAKER_MAX_PAYLOAD_IN_MB="1")
    held = hold(server)
    body = json.dumps([{"text": held.order}, *[{"text": "x" * 250_000}] * 3])
    futures = [held.clients.submit(server.invoke, body, JSON) for _ in range(8)]
    until(lambda: any(each.done() for each in futures))
    [refused, *_] = [each.result() for each in futures if each.done()]
    assert refused.status == 503
    assert "bytes of requests are in work" in refused.body
    held.let_go()
    assert {each.result().status for each in futures} == {200, 503}


def test_pings_are_answered_while_the_model_works(start: Start, hold: Hold) -> None:
    server = start()
    held = hold(server)
    [slow] = held.in_work(held.order)
    assert [server.request("GET", "/ping").status for _ in range(10)] == [200] * 10
    assert not slow.done()
    held.let_go()
    assert slow.result().status == 200


def test_requests_at_the_same_time_are_one_call_where_the_model_wants_it(start: Start, hold: Hold) -> None:
    server = start("Gathering")
    held = hold(server)
    [first] = held.in_work(held.order)
    futures = held.in_work("good", "bad", "good good", "bad bad", "good", "bad")
    held.let_go()
    assert first.result().status == 200
    assert [each.result().content["label"] for each in futures] == ["pos", "neg"] * 3
    assert server.metric("serve_model_calls_total") <= 2
    assert server.metric("serve_rows_total") == 7
    assert server.classify("fail").status == 500
    assert server.classify("good").status == 200


def test_sigterm_answers_open_requests_and_exits_with_success(start: Start, hold: Hold) -> None:
    server = start(SAGEMAKER_MODEL_SERVER_WORKERS="2")
    held = hold(server)
    with server.connect() as idle:
        [slow] = held.in_work(held.order)
        server.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""
        until(lambda: refuses(server))
        assert not slow.done()
        held.let_go()
        answer = slow.result()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert server.process.wait(PATIENCE) == 0
    assert [line["status"] for line in server.access_log() if line["path"] == "/invocations"] == [200]


def refuses(server: Server) -> bool:
    """Whether it takes no new client."""
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_worker_that_died_is_followed_by_another(start: Start) -> None:
    server = start(SAGEMAKER_MODEL_SERVER_WORKERS="2")
    with pytest.raises(ConnectionError):
        server.classify("die")
    until(lambda: "ended with exit code 9; restarting it" in server.log.read_text())
    until(lambda: len(psutil.Process(server.process.pid).children()) == 2)
    assert {server.classify("good").status for _ in range(8)} == {200}
    assert server.stop() == 0


def test_a_worker_may_be_stopped_at_once(start: Start) -> None:
    server = start("Signalled", SAGEMAKER_MODEL_SERVER_WORKERS="2")
    until(lambda: "worker 0 ended with exit code 0; restarting it" in server.log.read_text())
    until(lambda: len(psutil.Process(server.process.pid).children()) == 2)
    assert server.classify("good").status == 200
    assert server.stop() == 0


def test_a_model_chooses_its_workers_itself_where_it_cannot_be_shared(start: Start) -> None:
    server = start("Gathering", SAGEMAKER_MODEL_SERVER_WORKERS="3")
    assert not psutil.Process(server.process.pid).children()
    assert "SAGEMAKER_MODEL_SERVER_WORKERS is 3, but this model requires 1" in server.log.read_text()


def test_a_server_whose_device_is_lost_ends_for_another_to_begin(start: Start, hold: Hold) -> None:
    server = start()
    held = hold(server)
    [slow] = held.in_work(held.order)
    [lost] = held.in_work("lose")
    held.let_go()
    assert (slow.result().status, lost.result().status) == (200, 500)
    assert server.process.wait(PATIENCE) == 1
    assert "an illegal memory access was encountered" in server.log.read_text()
    assert server.log.read_text().endswith("error: the model's device is lost\n")


def test_a_worker_whose_device_is_lost_is_followed_by_another(start: Start) -> None:
    server = start(SAGEMAKER_MODEL_SERVER_WORKERS="2")
    assert server.classify("lose").status == 500
    until(lambda: "ended with exit code 1; restarting it" in server.log.read_text())
    until(lambda: len(psutil.Process(server.process.pid).children()) == 2)
    assert server.classify("good").status == 200
    assert server.stop() == 0


def test_a_process_that_is_no_worker_may_end(start: Start) -> None:
    server = start("Starting", SAGEMAKER_MODEL_SERVER_WORKERS="2")
    process = psutil.Process(server.process.pid)
    until(lambda: len(process.children()) == 3)
    [other] = [child for child in process.children() if child.name() == "sleep"]
    other.kill()
    until(lambda: len(process.children()) == 2)
    assert server.classify("good").status == 200
    assert server.stop() == 0


def test_without_a_file_descriptor_for_a_client_it_waits_for_one(start: Start) -> None:
    server = start()
    process = psutil.Process(server.process.pid)
    limits = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + 3, limits[1]))
    with ExitStack() as clients:
        began = time.monotonic()
        for _ in range(8):
            clients.enter_context(server.connect())
        until(lambda: "accepting no clients for 1 s" in server.log.read_text())
        time.sleep(0.3)
        count = server.log.read_text().count("accepting no clients")
        assert 1 <= count <= 1 + time.monotonic() - began
    assert server.classify("good").status == 200


def test_no_worker_outlives_the_first_process(start: Start) -> None:
    server = start(SAGEMAKER_MODEL_SERVER_WORKERS="2")
    workers = psutil.Process(server.process.pid).children()
    server.process.kill()
    assert not psutil.wait_procs(workers, PATIENCE)[1]


def test_does_not_start_with_a_setting_that_it_cannot_use(tmp_path: Path) -> None:
    script = str(Path(__file__).with_name("toolkit_server.py"))
    server = Server(tmp_path, [script, "Obedient"], SERVE_REQUESTS="0")
    assert server.process.wait(PATIENCE) == 1
    assert server.log.read_text() == "error: SERVE_REQUESTS must be a whole number from 1, not '0'\n"
