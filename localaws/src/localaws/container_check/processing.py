"""What holds of a processing container's commands, as far as one can tell without knowing the job."""

from localaws.container_check.bench import Bench, last_words
from localaws.container_check.clauses import Clause, clause
from localaws.container_check.errors import Broken, Noted


def of(command: str) -> Clause:
    """The clause of one command."""

    @clause(
        f"processing.{command}",
        f"`{command}` fails without its input, and says why",
        "Print what is missing, write it to output/message (UTF-8, 1,024 bytes at most), and exit with 1.",
    )
    def fails_without_input(bench: Bench) -> str:
        """A job whose input is not there must not seem to have succeeded."""
        lines: list[str] = []
        opt_ml = bench.new_opt_ml()
        opt_ml.lay_out_processing()
        container = bench.start(opt_ml, command, {}, lines.append)
        code = container.wait(bench.limits.refusal)
        if code is None:
            container.stop(0)
            raise Broken(f"it did not end in {bench.limits.refusal:g} s; its last words: {last_words(lines)}")
        if code == 0:
            raise Broken("it exited with 0, as if all were well")
        message = opt_ml.message
        if not (message or any(line.strip() for line in lines)):
            raise Broken(f"exit code {code}, and not a word")
        if not message:
            raise Noted(f"exit code {code}, without output/message; its last words: {last_words(lines)}")
        return message

    return fails_without_input
