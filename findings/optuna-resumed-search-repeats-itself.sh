#!/usr/bin/env bash
# A study that is resumed from its storage, with the sampler given the same seed as before, proposes exactly what it
# proposed the first time: the generator starts anew, and neither RandomSampler nor TPESampler's random start looks
# at what is there. A search of 10 that was interrupted after 5 trains the same 5 models twice, pays for them, and
# finds nothing new. The tutorial on resuming asks to pickle such a sampler for the sake of reproducibility; that it
# otherwise repeats its trials it does not say.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check optuna==5.0.0
venv/bin/python - <<'PYTHON'
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = optuna.storages.InMemoryStorage()
for _ in range(2):  # as two processes would
    sampler = optuna.samplers.TPESampler(seed=1)
    study = optuna.create_study(study_name="search", storage=storage, sampler=sampler, load_if_exists=True)
    study.optimize(lambda trial: trial.suggest_float("alpha", 0, 1), n_trials=5)

values = [trial.params["alpha"] for trial in study.trials]
version = f"optuna {optuna.__version__}"
expected = "10 trials, 10 different values"
seen = len(values), len(set(values)), values[:5] == values[5:]
documented = 10, 5, True
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
