"""Run the server's processes: one loads the model, and one worker per core answers with it."""

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
RESTART_SECONDS = 1.0  # a worker that fails at once must not restart in a busy loop


def main(load: Callable[[Path], Classifier], environment: Mapping[str, str] = os.environ) -> NoReturn:
    """Load the model, then listen: /ping is not answered before the model is ready.

    Args:
        load: Reads the model's folder. The workers are forked after it and share the model's memory. A model
            that starts threads when it is loaded needs an attribute ``workers`` of 1.
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
        gc.freeze()  # otherwise the garbage collector writes to memory that the workers share
        sys.exit(Workers(classifier, settings, metrics, listening).run(count))


def workers(classifier: Classifier, settings: Settings) -> int:
    """Return the number of workers: what the model requires, else what is set, else one per core."""
    own: int | None = getattr(classifier, "workers", None)
    if own and settings.workers not in (None, own):
        print_error(f"SAGEMAKER_MODEL_SERVER_WORKERS is {settings.workers}, but this model requires {own}")
    return own or settings.workers or cores()


def print_error(error: str) -> None:
    """Print an error message."""
    print(f"error: {error}", file=sys.stderr, flush=True)


def exit_now(*_: object) -> NoReturn:
    """Exit on a signal that arrives before the server listens."""
    sys.exit(0)


def listen(settings: Settings) -> socket.socket:
    """Open the socket that all workers accept clients from."""
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
    """Run a worker; return its exit code."""

    async def answer() -> str:
        application = Application(classifier, metrics, settings)
        worker = Worker(application, settings, AccessLog() if settings.access_log else None)
        if not await worker.run(listening, parent_pipe):
            return f"not all requests were answered within {settings.drain_seconds:g} s"
        return "the model's device is lost" if application.device_lost else ""

    if reason := uvloop.run(answer()):
        print_error(reason)
    return 1 if reason else 0


class Workers:
    """The worker processes and their supervisor."""

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
        """Keep the number of workers until SIGTERM; return 0 if all of them answered their requests."""
        for number in STOP_SIGNALS:
            signal.signal(number, self.stop)
        for slot in range(count):
            self.start(slot)
        worst = 0
        while self.slots:
            process, status = os.wait()
            if process not in self.slots:  # started by `load`, or an orphan of the container
                continue
            slot = self.slots.pop(process)
            if self.stopping:
                worst = max(worst, abs(os.waitstatus_to_exitcode(status)))
                continue
            code = os.waitstatus_to_exitcode(status)
            print_error(f"worker {slot} ended with exit code {code}; restarting it")
            time.sleep(RESTART_SECONDS)
            if not self.stopping:
                self.start(slot)
        return worst

    def start(self, slot: int) -> None:
        """Fork a worker."""
        # Until the worker has its own handlers, a signal would make it close the shared socket.
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
        """Stop accepting clients, and stop all workers."""
        self.stopping = True
        self.listening.close()
        for process in self.slots:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
