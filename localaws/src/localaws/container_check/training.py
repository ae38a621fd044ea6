"""What holds of `train`."""

from rich.filesize import decimal

from localaws.container_check.bench import Bench, Training
from localaws.container_check.clauses import clause
from localaws.container_check.errors import Broken, Noted, Unchecked
from localaws.container_check.opt_ml import OptMl, contents
from localaws.sagemaker.jobs.metrics import Metrics

# What SageMaker, its tuning jobs and its SDK add to a job's hyperparameters.
SAGEMAKERS_OWN = {
    "_tuning_objective_metric": "validation:accuracy",
    "sagemaker_container_log_level": "20",
    "sagemaker_estimator_class_name": '"Estimator"',
    "sagemaker_estimator_module": '"sagemaker.estimator"',
    "sagemaker_job_name": '"check-container"',
    "sagemaker_program": '"train.py"',
    "sagemaker_region": '"us-east-1"',
    "sagemaker_submit_directory": '"s3://check-container/source.tar.gz"',
}
# Files that SageMaker puts beside those that its documentation names.
MORE_CONFIG = ("init-config", "metric-definition-regex", "upstreamoutputdataconfig")
SHOWN_FILES = 5


@clause(
    "training.exit",
    "Trains on the sample, its hyperparameters strings, and exits with 0",
    "Read input/config/hyperparameters.json and input/data/<channel>; its last words say why it failed.",
)
def trains(bench: Bench) -> str:
    """An ordinary training."""
    ended = bench.first
    if ended.code is None:
        raise Broken(f"it did not end in {bench.limits.training:g} s; its last words: {ended.last_output}")
    if ended.code != 0:
        raise Broken(f"exit code {ended.code}: {ended.opt_ml.failure or ended.last_output}")
    return f"{ended.seconds:.1f} s"


@clause(
    "training.model",
    "Writes the model to model/",
    "Write every file that `serve` needs to model/ below SAGEMAKER_BASE_DIR (/opt/ml) before it exits.",
)
def writes_model(bench: Bench) -> str:
    """What becomes model.tar.gz."""
    if succeeded(bench).opt_ml.failure:
        raise Broken("it exited with 0, and left output/failure")
    files = contents(bench.first.opt_ml.model)
    if not files:
        raise Broken("it exited with 0, and model/ is empty")
    size = sum((bench.first.opt_ml.model / name).stat().st_size for name in files)
    return f"{', '.join(list(files)[:SHOWN_FILES])}: {decimal(size)}"


@clause(
    "training.metrics",
    "Prints a value for every metric definition",
    "Print each metric such that its Regex finds it, on a line of its own, and flush.",
)
def prints_metrics(bench: Bench) -> str:
    """What CloudWatch and tuning jobs get."""
    definitions = bench.sample.metrics
    if not definitions:
        raise Unchecked("the sample has no metrics.json")
    metrics = Metrics(definitions)
    for line in succeeded(bench).lines:
        metrics.read(line)
    found = {item["MetricName"]: item["Value"] for item in metrics.final()}
    for item in definitions:
        if item["Name"] not in found:
            raise Broken(f"{item['Regex']} finds nothing for {item['Name']} in what was printed")
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items())


@clause(
    "training.places",
    "Writes nowhere but to model/, output/ and checkpoints/",
    "Write temporary files to the system's temporary folder, and results to the three folders.",
)
def keeps_to_its_places(bench: Bench) -> None:
    """Anything else is lost, or is the input."""
    unexpected_files = succeeded(bench).opt_ml.unexpected_files()
    if unexpected_files:
        raise Broken(f"it wrote {', '.join(unexpected_files)} beside the folders that are its own")


@clause(
    "training.input",
    "Leaves its input as it was, which cannot be written to",
    "Open the channels for reading only; copy to a temporary folder what has to be changed.",
)
def leaves_input(bench: Bench) -> None:
    """FastFile and other inputs are read only."""
    ended = succeeded(bench)
    for name, folder in bench.sample.channels.items():
        now, then = contents(ended.opt_ml.input / "data" / name), contents(folder)
        if changed := sorted(path for path in now | then if now.get(path) != then.get(path)):
            raise Broken(f"the channel {name} was written to: {', '.join(changed[:SHOWN_FILES])}")


@clause(
    "training.own-hyperparameters",
    "Passes over the hyperparameters that SageMaker adds itself",
    "Ignore `_tuning_objective_metric` and every name that begins with `sagemaker_`.",
)
def passes_over_sagemakers_own(bench: Bench) -> None:
    """Tuning jobs and the SDK add some."""
    _trains_as_before(bench, bench.opt_ml({**bench.sample.hyperparameters, **SAGEMAKERS_OWN}))


@clause(
    "training.more-config",
    "Bears files and keys in input/config that it does not know",
    "Read the keys that are needed, and pass over all others.",
)
def bears_more_config(bench: Bench) -> None:
    """SageMaker adds some as it grows."""
    opt_ml = bench.opt_ml()
    for name in MORE_CONFIG:
        opt_ml.write_config(name, {"added": "later"})
    opt_ml.write_config("resourceconfig", {**opt_ml.read_config("resourceconfig"), "added": ["later"]})
    channels = opt_ml.read_config("inputdataconfig")
    opt_ml.write_config("inputdataconfig", {name: {**of, "added": "later"} for name, of in channels.items()})
    _trains_as_before(bench, opt_ml)


@clause(
    "training.same-model",
    "Gives the same model again for the same data and hyperparameters",
    "Seed every source of chance from a hyperparameter, and write no dates or paths into the model.",
)
def gives_the_same_model(bench: Bench) -> None:
    """No duty of SageMaker's: that one can tell whether anything has changed."""
    first, again = bench.trained, bench.train(bench.opt_ml())
    if again.code != 0:
        raise Broken(f"the second training exited with {again.code}: {again.last_output}")
    then, now = contents(first.opt_ml.model), contents(again.opt_ml.model)
    if then != now:
        differ = sorted(name for name in then | now if then.get(name) != now.get(name))
        raise Noted(f"the second training wrote others: {', '.join(differ[:SHOWN_FILES])}")


CLAUSES = (
    trains,
    writes_model,
    prints_metrics,
    keeps_to_its_places,
    leaves_input,
    passes_over_sagemakers_own,
    bears_more_config,
    gives_the_same_model,
)


def succeeded(bench: Bench) -> Training:
    """The ordinary training.

    Raises:
        Unchecked: it did not succeed.
    """
    if bench.first.code != 0:
        raise Unchecked("the training on the sample did not succeed")
    return bench.first


def _trains_as_before(bench: Bench, opt_ml: OptMl) -> None:
    succeeded(bench)
    ended = bench.train(opt_ml)
    if ended.code != 0:
        raise Broken(f"exit code {ended.code}: {ended.opt_ml.failure or ended.last_output}")
