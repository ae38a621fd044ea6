"""Bad inputs with the verdict that each has to get: files made by code, so that each can be read here.

`ROWS` holds files of one bad row among twenty good ones: only that row is quarantined.
`FILES` holds files that are quarantined whole: nothing of them is ingested.
"""

from tests.unit.containers.processing.bad_inputs.files import FILES
from tests.unit.containers.processing.bad_inputs.rows import ROWS

__all__ = ["FILES", "ROWS"]
