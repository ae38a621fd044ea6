"""The server's processes: one loads the model, as many as there are cores answer with it."""

import gc
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import uvloop

from toolkit.access_log import AccessLog
from toolkit.application import Application
from toolkit.classifier import Classifier
from toolkit.errors import ContainerError
from toolkit.metrics import Metrics
from toolkit.settings import Settings, cores, from_environment
from toolkit.worker import STOP_SIGNALS, Worker

BACKLOG = 1024
RESTART_SECONDS = 1.0  # a worker that cannot live does not take all of the processor


def main(load: Callable[[Path], Classifier], environment: Mapping[str, str] = os.environ) -> NoReturn:
    """Load the model, then listen: nothing answers /ping before the model can answer.

    Args:
        load: Reads the model's folder. The workers are made of this process after it, so that they share the
            model's memory; a model that starts threads when it is loaded has an attribute ``workers`` of 1.
    """
    signal.signal(signal.SIGTERM, exit_now)
    try:
        settings = from_environment(environment)
        classifier = load(settings.model_dir)
    except ContainerError as error:
        print_error(str(error))
        sys.exit(1)
    classifier.predict(["warm up"])
    count = workers(classifier, settings)
    settings = replace(settings, workers=count)
    with listen(settings) as listening:
        labels = ", ".join(classifier.labels)
        print(f"serving {len(classifier.labels)} labels with {count} workers: {labels}", flush=True)
        metrics = Metrics(count)
        if count == 1:
            sys.exit(run_worker(classifier, settings, metrics, listening))
        gc.collect()
        gc.freeze()  # the garbage collector would write to the memory that the workers share
        sys.exit(Workers(classifier, settings, metrics, listening).run(count))


def workers(classifier: Classifier, settings: Settings) -> int:
    """How many processes answer: what the model can bear, else what is set, else one a core."""
    own: int | None = getattr(classifier, "workers", None)
    if own and settings.workers not in (None, own):
        print_error(f"SAGEMAKER_MODEL_SERVER_WORKERS is {settings.workers}, but this model takes {own}")
    return own or settings.workers or cores()


def print_error(error: str) -> None:
    """Say what went wrong."""
    print(f"error: {error}", file=sys.stderr, flush=True)


def exit_now(*_: object) -> NoReturn:
    """End before there is anything to answer."""
    sys.exit(0)


def listen(settings: Settings) -> socket.socket:
    """The socket that all workers take clients from."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    listening.setblocking(False)
    return listening


def run_worker(
    classifier: Classifier,
    settings: Settings,
    metrics: Metrics,
    listening: socket.socket,
    parent_pipe: int | None = None,
) -> int:
    """Be a worker; the exit code."""

    async def answer() -> str:
        application = Application(classifier, metrics, settings)
        worker = Worker(application, settings, AccessLog() if settings.access_log else None)
        if not await worker.run(listening, parent_pipe):
            return f"not all was answered within {settings.drain_seconds:g} s"
        return "the model's device is lost to this process" if application.device_lost else ""

    if reason := uvloop.run(answer()):
        print_error(reason)
    return 1 if reason else 0


class Workers:
    """The processes that answer, and the one that keeps their number."""

    def __init__(
        self, classifier: Classifier, settings: Settings, metrics: Metrics, listening: socket.socket
    ) -> None:
        self.worker_arguments = (classifier, settings, metrics, listening)
        self.listening = listening
        self.metrics = metrics
        self.parent_pipe = os.pipe()
        self.slots: dict[int, int] = {}  # by process id
        self.stopping = False

    def run(self, count: int) -> int:
        """Keep so many workers until SIGTERM; the exit code is 0 if all of them answered what was asked."""
        for number in STOP_SIGNALS:
            signal.signal(number, self.stop)
        for slot in range(count):
            self.start(slot)
        worst = 0
        while self.slots:
            process, status = os.wait()
            if process not in self.slots:  # one that `load` started, or an orphan of a container
                continue
            slot = self.slots.pop(process)
            if self.stopping:
                worst = max(worst, abs(os.waitstatus_to_exitcode(status)))
                continue
            code = os.waitstatus_to_exitcode(status)
            print_error(f"worker {slot} ended with exit code {code}; another begins")
            time.sleep(RESTART_SECONDS)
            if not self.stopping:
                self.start(slot)
        return worst

    def start(self, slot: int) -> None:
        """Make a worker of this process."""
        # Until a worker has handlers of its own, a signal would make it close what all listen on.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        if process := os.fork():
            self.slots[process] = slot
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            if self.stopping:
                self.stop()
            return
        code = 1
        try:
            for number in STOP_SIGNALS:
                signal.signal(number, exit_now)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            os.close(self.parent_pipe[1])
            self.metrics.use_slot(slot)
            code = run_worker(*self.worker_arguments, self.parent_pipe[0])
        except SystemExit:
            code = 0
        except BaseException as error:
            traceback.print_exception(error)
        finally:
            sys.stderr.flush()
            os._exit(code)

    def stop(self, *_: object) -> None:
        """Take no client, ask all workers to end."""
        self.stopping = True
        self.listening.close()
        for process in self.slots:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
