"""Clauses on a processing container's commands, as far as they can be checked for any job."""

from localaws.container_check.bench import Bench, last_line
from localaws.container_check.clauses import Clause, clause
from localaws.container_check.errors import Broken, Noted


def of(command: str) -> Clause:
    """Return the clause for a command."""

    @clause(
        f"processing.{command}",
        f"`{command}` fails without its input and reports the reason",
        "Print what is missing, write it to output/message (UTF-8, at most 1,024 bytes) and exit with 1.",
    )
    def fails_without_input(bench: Bench) -> str:
        """A job without its input must not succeed."""
        lines: list[str] = []
        opt_ml = bench.new_opt_ml()
        opt_ml.create_processing_job()
        container = bench.start(opt_ml, command, {}, lines.append)
        code = container.wait(bench.limits.refusal)
        if code is None:
            container.stop(0)
            raise Broken(
                f"it did not exit within {bench.limits.refusal:g} s; last output: {last_line(lines)}"
            )
        if code == 0:
            raise Broken("it exited with 0, as if it had succeeded")
        message = opt_ml.message
        if not (message or any(line.strip() for line in lines)):
            raise Broken(f"exit code {code}, but no output and no output/message")
        if not message:
            raise Noted(f"exit code {code}, but no output/message; last output: {last_line(lines)}")
        return message

    return fails_without_input
