import os

from toolkit.access_log import PIPE_BYTES, AccessLog
from toolkit.messages import Request, Response


def test_a_log_that_no_one_takes_does_not_end_the_server() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    log = AccessLog(writing)
    for _ in range(PIPE_BYTES // 50):  # more than is gathered
        log.add(Request(), Response(200), "id", 0.1)
    log.flush()
    os.close(writing)
