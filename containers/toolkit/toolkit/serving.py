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
from toolkit.metrics import Meters
from toolkit.settings import Settings, cores, from_environment
from toolkit.worker import ENDING, Worker

BACKLOG = 1024
RESTART_SECONDS = 1.0  # a worker that cannot live does not take all of the processor


def main(load: Callable[[Path], Classifier], environment: Mapping[str, str] = os.environ) -> NoReturn:
    """Load the model, then listen: nothing answers /ping before the model can answer.

    Args:
        load: Reads the model's folder. The workers are made of this process after it, so that they share the
            model's memory; a model that starts threads when it is loaded has an attribute ``workers`` of 1.
    """
    signal.signal(signal.SIGTERM, leave)
    try:
        settings = from_environment(environment)
        classifier = load(settings.model_dir)
    except ContainerError as error:
        tell(str(error))
        sys.exit(1)
    classifier.predict(["warm up"])
    count = workers(classifier, settings)
    settings = replace(settings, workers=count)
    with listen(settings) as listening:
        labels = ", ".join(classifier.labels)
        print(f"serving {len(classifier.labels)} labels with {count} workers: {labels}", flush=True)
        meters = Meters(count)
        if count == 1:
            sys.exit(work(classifier, settings, meters, listening))
        gc.collect()
        gc.freeze()  # the garbage collector would write to the memory that the workers share
        sys.exit(Workers(classifier, settings, meters, listening).run(count))


def workers(classifier: Classifier, settings: Settings) -> int:
    """How many processes answer: what the model can bear, else what is set, else one a core."""
    own: int | None = getattr(classifier, "workers", None)
    if own and settings.workers not in (None, own):
        tell(f"SAGEMAKER_MODEL_SERVER_WORKERS is {settings.workers}, but this model takes {own}")
    return own or settings.workers or cores()


def tell(error: str) -> None:
    """Say what went wrong."""
    print(f"error: {error}", file=sys.stderr, flush=True)


def leave(*_: object) -> NoReturn:
    """End before there is anything to answer."""
    sys.exit(0)


def listen(settings: Settings) -> socket.socket:
    """The socket that all workers take clients from."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    listening.setblocking(False)
    return listening


def work(
    classifier: Classifier,
    settings: Settings,
    meters: Meters,
    listening: socket.socket,
    lifeline: int | None = None,
) -> int:
    """Be a worker; the exit code."""

    async def answer() -> str:
        application = Application(classifier, meters, settings)
        worker = Worker(application, settings, AccessLog() if settings.access_log else None)
        if not await worker.run(listening, lifeline):
            return f"not all was answered within {settings.drain_seconds:g} s"
        return "the model's device is lost to this process" if application.lost else ""

    if reason := uvloop.run(answer()):
        tell(reason)
    return 1 if reason else 0


class Workers:
    """The processes that answer, and the one that keeps their number."""

    def __init__(
        self, classifier: Classifier, settings: Settings, meters: Meters, listening: socket.socket
    ) -> None:
        self.given = (classifier, settings, meters, listening)
        self.listening = listening
        self.meters = meters
        self.lifeline = os.pipe()
        self.places: dict[int, int] = {}  # by process id
        self.stopping = False

    def run(self, count: int) -> int:
        """Keep so many workers until SIGTERM; the exit code is 0 if all of them answered what was asked."""
        for number in ENDING:
            signal.signal(number, self.stop)
        for place in range(count):
            self.start(place)
        worst = 0
        while self.places:
            process, status = os.wait()
            if process not in self.places:  # one that `load` started, or an orphan of a container
                continue
            place = self.places.pop(process)
            if self.stopping:
                worst = max(worst, abs(os.waitstatus_to_exitcode(status)))
                continue
            code = os.waitstatus_to_exitcode(status)
            tell(f"worker {place} ended with exit code {code}; another begins")
            time.sleep(RESTART_SECONDS)
            if not self.stopping:
                self.start(place)
        return worst

    def start(self, place: int) -> None:
        """Make a worker of this process."""
        # Until a worker has handlers of its own, a signal would make it close what all listen on.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        if process := os.fork():
            self.places[process] = place
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            if self.stopping:
                self.stop()
            return
        code = 1
        try:
            for number in ENDING:
                signal.signal(number, leave)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            os.close(self.lifeline[1])
            self.meters.take(place)
            code = work(*self.given, self.lifeline[0])
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
        for process in self.places:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
