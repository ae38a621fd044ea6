"""Clauses on `train`."""

from rich.filesize import decimal

from localaws.container_check.bench import Bench, Training
from localaws.container_check.clauses import clause
from localaws.container_check.errors import Broken, Noted, Unchecked
from localaws.container_check.opt_ml import OptMl, contents
from localaws.sagemaker.jobs.metrics import Metrics

# Hyperparameters that SageMaker, its tuning jobs and its SDK add to a job.
SAGEMAKER_HYPERPARAMETERS = {
    "_tuning_objective_metric": "validation:accuracy",
    "sagemaker_container_log_level": "20",
    "sagemaker_estimator_class_name": '"Estimator"',
    "sagemaker_estimator_module": '"sagemaker.estimator"',
    "sagemaker_job_name": '"check-container"',
    "sagemaker_program": '"train.py"',
    "sagemaker_region": '"us-east-1"',
    "sagemaker_submit_directory": '"s3://check-container/source.tar.gz"',
}
# Files that SageMaker writes to input/config without documenting them.
UNDOCUMENTED_CONFIG = ("init-config", "metric-definition-regex", "upstreamoutputdataconfig")
SHOWN_FILES = 5


@clause(
    "training.exit",
    "Trains on the sample with string hyperparameters and exits with 0",
    "Read input/config/hyperparameters.json and input/data/<channel>; the last output shows the error.",
)
def trains(bench: Bench) -> str:
    """Run a training on the unchanged sample."""
    ended = bench.first
    if ended.code is None:
        raise Broken(f"it did not exit within {bench.limits.training:g} s; last output: {ended.last_output}")
    if ended.code != 0:
        raise Broken(f"exit code {ended.code}: {ended.opt_ml.failure or ended.last_output}")
    return f"{ended.seconds:.1f} s"


@clause(
    "training.model",
    "Writes the model to model/",
    "Write every file that `serve` needs to model/ below SAGEMAKER_BASE_DIR (/opt/ml) before it exits.",
)
def writes_model(bench: Bench) -> str:
    """SageMaker packs model/ into model.tar.gz."""
    if succeeded(bench).opt_ml.failure:
        raise Broken("it exited with 0, but wrote output/failure")
    files = contents(bench.first.opt_ml.model)
    if not files:
        raise Broken("it exited with 0, but model/ is empty")
    size = sum((bench.first.opt_ml.model / name).stat().st_size for name in files)
    return f"{', '.join(list(files)[:SHOWN_FILES])}: {decimal(size)}"


@clause(
    "training.metrics",
    "Prints a value for every metric definition",
    "Print each metric on its own line so that its Regex matches, and flush.",
)
def prints_metrics(bench: Bench) -> str:
    """SageMaker parses the metrics for CloudWatch and tuning jobs from the output."""
    definitions = bench.sample.metrics
    if not definitions:
        raise Unchecked("the sample has no metrics.json")
    metrics = Metrics(definitions)
    for line in succeeded(bench).lines:
        metrics.read(line)
    found = {item["MetricName"]: item["Value"] for item in metrics.final()}
    for item in definitions:
        if item["Name"] not in found:
            raise Broken(f"the regex {item['Regex']} of {item['Name']} matches nothing in the output")
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items())


@clause(
    "training.places",
    "Writes only to model/, output/ and checkpoints/",
    "Write temporary files to the system's temporary folder, and results to the three folders.",
)
def writes_to_output_folders_only(bench: Bench) -> None:
    """SageMaker does not keep files in other folders."""
    unexpected_files = succeeded(bench).opt_ml.unexpected_files()
    if unexpected_files:
        raise Broken(f"it wrote outside of these folders: {', '.join(unexpected_files)}")


@clause(
    "training.input",
    "Does not change its input, which is read-only",
    "Open the channels for reading only; copy files that must change to a temporary folder.",
)
def leaves_input(bench: Bench) -> None:
    """FastFile and other inputs are read-only."""
    ended = succeeded(bench)
    for name, folder in bench.sample.channels.items():
        now, then = contents(ended.opt_ml.input / "data" / name), contents(folder)
        if changed := sorted(path for path in now | then if now.get(path) != then.get(path)):
            raise Broken(f"it changed the channel {name}: {', '.join(changed[:SHOWN_FILES])}")


@clause(
    "training.own-hyperparameters",
    "Ignores the hyperparameters that SageMaker adds",
    "Ignore `_tuning_objective_metric` and every name that begins with `sagemaker_`.",
)
def ignores_sagemaker_hyperparameters(bench: Bench) -> None:
    """Tuning jobs and the SDK add hyperparameters."""
    _check_trains(bench, bench.opt_ml({**bench.sample.hyperparameters, **SAGEMAKER_HYPERPARAMETERS}))


@clause(
    "training.more-config",
    "Ignores unknown files and keys in input/config",
    "Read the required keys and ignore all others.",
)
def ignores_unknown_config(bench: Bench) -> None:
    """New versions of SageMaker add files and keys."""
    opt_ml = bench.opt_ml()
    for name in UNDOCUMENTED_CONFIG:
        opt_ml.write_config(name, {"added": "later"})
    opt_ml.write_config("resourceconfig", {**opt_ml.read_config("resourceconfig"), "added": ["later"]})
    channels = opt_ml.read_config("inputdataconfig")
    opt_ml.write_config("inputdataconfig", {name: {**of, "added": "later"} for name, of in channels.items()})
    _check_trains(bench, opt_ml)


@clause(
    "training.same-model",
    "Produces the same model for the same data and hyperparameters",
    "Seed all random generators from a hyperparameter, and write no dates or paths into the model.",
)
def reproduces_the_model(bench: Bench) -> None:
    """Not required by SageMaker: a reproducible model shows whether code or data have changed."""
    first, again = bench.trained, bench.train(bench.opt_ml())
    if again.code != 0:
        raise Broken(f"the second training exited with {again.code}: {again.last_output}")
    then, now = contents(first.opt_ml.model), contents(again.opt_ml.model)
    if then != now:
        differ = sorted(name for name in then | now if then.get(name) != now.get(name))
        raise Noted(f"a second training wrote other content: {', '.join(differ[:SHOWN_FILES])}")


CLAUSES = (
    trains,
    writes_model,
    prints_metrics,
    writes_to_output_folders_only,
    leaves_input,
    ignores_sagemaker_hyperparameters,
    ignores_unknown_config,
    reproduces_the_model,
)


def succeeded(bench: Bench) -> Training:
    """Return the training on the unchanged sample.

    Raises:
        Unchecked: it did not succeed.
    """
    if bench.first.code != 0:
        raise Unchecked("the training on the sample did not succeed")
    return bench.first


def _check_trains(bench: Bench, opt_ml: OptMl) -> None:
    succeeded(bench)
    ended = bench.train(opt_ml)
    if ended.code != 0:
        raise Broken(f"exit code {ended.code}: {ended.opt_ml.failure or ended.last_output}")
