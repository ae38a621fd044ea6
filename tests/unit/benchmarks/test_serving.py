"""The parts of the serving benchmark that need no measurement."""

import json
from pathlib import Path

import pytest

from benchmarks import load, serving
from benchmarks.containers import Containers
from benchmarks.errors import BenchmarkError, CommandError
from benchmarks.load import Load, Requests
from benchmarks.report import Report
from benchmarks.serving import OTHERS, OWN, Served

TEXTS = ['plain, "quoted"', "☃ \\ \x00\nnew 7", "]]"]
REPORT = """
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.02ms    2.00ms  30.00ms   95.00%
  Latency Distribution
     50%  850.00us
     75%    1.00ms
     90%    1.50ms
     99%    1.25s
  12345 requests in 6.00s, 2.00MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 4
Requests/sec:   2057.50
Transfer/sec:    341.33KB
"""
SERVER = """#!/usr/bin/env python3
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

print("serving", flush=True)
address = os.environ["SAGEMAKER_BIND_TO_HOST"], int(os.environ["SAGEMAKER_BIND_TO_PORT"])
HTTPServer(address, Handler).serve_forever()
"""


def test_the_report_of_wrk_is_parsed() -> None:
    assert load.read(REPORT, 8) == Load(8, 12345, 2057.5, 0.85, 1250.0, 7)


def test_an_unexpected_output_of_wrk_is_shown() -> None:
    with pytest.raises(CommandError, match="unable to connect"):
        load.read("unable to connect", 8)


def test_a_body_in_lua_is_printable() -> None:
    assert load.quoted('a"☃\n7') == r'"a\034\226\152\131\0107"'


def test_requests_are_written_as_a_script(tmp_path: Path) -> None:
    script = (
        Requests("/there", {"Content-Type": "text/csv"}, ["a", "b"]).write(tmp_path / "load.lua").read_text()
    )
    assert '["Content-Type"] = "text/csv"' in script
    assert '{ "a", "b" }' in script
    assert 'wrk.format("POST", "/there", headers, body)' in script


@pytest.mark.parametrize(
    ("stack", "answer"),
    [
        (OWN["application/json"], '{"label": "pos", "probabilities": {"neg": 0.25, "pos": 0.75}}'),
        (OWN["text/csv"], "pos,0.75\n"),
        (OTHERS[0], "pos,0.75\n"),
        (OTHERS[1], '{"outputs": [{"data": ["pos"]}, {"data": [0.75]}]}'),
        (OTHERS[2], '{"label": "pos", "probability": 0.75}'),
    ],
)
def test_each_server_s_response_is_parsed(stack: serving.Stack, answer: str) -> None:
    assert stack.read(answer) == ("pos", 0.75)
    assert all(json.dumps(text)[1:-1] in stack.body(text) or stack.type == "text/csv" for text in TEXTS)


def test_a_server_with_other_predictions_is_an_error() -> None:
    serving.check_agreement(OTHERS[0], [("pos", 0.75)], [("pos", 0.75)])
    for other in (("neg", 0.75), ("pos", 0.76)):
        with pytest.raises(BenchmarkError, match="nginx, gunicorn, Flask, pandas returns"):
            serving.check_agreement(OTHERS[0], [("pos", 0.75)], [other])


def served(name: str, *rates: float, failed: int = 0) -> Served:
    loads = (
        Load(clients, 100, rate, 1.0, 2.0, failed) for clients, rate in zip((1, 8, 64), rates, strict=True)
    )
    return Served(name, tuple(loads), 100.0, 200.0)


def test_each_bound_is_the_minimum_lead(capsys: pytest.CaptureFixture[str]) -> None:
    names = [stack.name for stack in (*OWN.values(), *OTHERS)]
    rates = [(900, 900, 900), (800, 800, 800), (100, 200, 400), (300, 100, 100), (1, 1, 901)]
    stacks = {name: served(name, *rate) for name, rate in zip(names, rates, strict=True)}
    report = serving.conclude(Report("serving", "texts"), stacks, OTHERS)
    assert [bound.value for bound in report.bounds] == [2.0, 3.0, pytest.approx(900 / 901), 0, 0]
    assert [bound.held for bound in report.bounds] == [False, True, False, True, True]
    assert "| MLServer" in capsys.readouterr().out
    assert json.dumps(report.content())


def test_failed_requests_miss_a_bound() -> None:
    names = [*(own.name for own in OWN.values()), OTHERS[0].name]
    stacks = {name: served(name, 10, 10, 10) for name in names}
    stacks[names[1]] = served(names[1], 9000, 9000, 9000, failed=1)
    report = serving.conclude(Report("serving", "texts"), stacks, OTHERS[:1])
    assert [bound.held for bound in report.bounds] == [True, True, False]
    assert str(report.bounds[-1]) == "MISSED  failed requests of serve, CSV: 3.00 (at most 0.00)"


def test_the_log_of_a_server_with_failed_requests_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "serve.log"
    log.write_text("fine\n" * 100 + "no more memory\n")
    serving.print_served(served("good", 1, 1, 1), log)
    assert "Last output" not in capsys.readouterr().out
    serving.print_served(served("bad", 1, 1, 1, failed=2), log)
    output = capsys.readouterr().out.splitlines()
    assert (output[1], output[-1]) == ("    6 requests failed. Last output:", "    no more memory")
    assert len(output) < 20


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image's folder with a minimal server."""
    folder = tmp_path / "images/tiny"
    folder.mkdir(parents=True)
    (folder / "serve").write_text(SERVER)
    (folder / "serve").chmod(0o755)
    return folder


def test_a_server_s_output_is_written_to_a_file(
    tmp_path: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    containers = Containers(tmp_path / "environments", image.parent)
    with containers.serving("tiny", tmp_path / "base", {}):
        pass
    assert "serving\n" in (tmp_path / "base/serve.log").read_text()
    assert capsys.readouterr().out == ""


def test_the_error_of_a_failed_server_has_its_last_output(tmp_path: Path, image: Path) -> None:
    containers = Containers(tmp_path / "environments", image.parent)
    with (
        pytest.raises(CommandError, match=r"(?s)^serve of tiny failed: wrong label\nserving"),
        containers.serving("tiny", tmp_path / "base", {}),
    ):
        raise BenchmarkError("wrong label")
    (image / "serve").write_text("#!/bin/sh\necho no model; exit 3\n")
    with (
        pytest.raises(CommandError, match=r"^serve of tiny does not respond to /ping:\nno model$"),
        containers.serving("tiny", tmp_path / "base", {}),
    ):
        pass


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BenchmarkError, match="wrk, nginx not found: apt-get install wrk nginx"):
        serving.main([])
