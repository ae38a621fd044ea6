# Machine learning that retrains and deploys itself. `make` lists the targets.
SHELL := bash
.SHELLFLAGS := -o pipefail -c

PORT       ?= 4566
STACK      ?= retrain
DATA       ?=
PARAMETERS ?= # of the stack, such as ModelContainer=linear

VENV   := .venv
PYTHON := $(VENV)/bin/python
# The installer of this environment and of the images' environments; the version is requirements.lock's.
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)
GROUPS := --group authoring --group dev --group containers
# One worker more than cores, since the deployed loop often waits: WORKERS=0 runs the tests in one process, with
# readable output and --pdb.
WORKERS ?= $(shell python3 -c 'import os; print(1 + len(os.sched_getaffinity(0)))' 2>/dev/null || echo auto)
PYTEST  := python -m pytest --numprocesses=$(WORKERS)
LAYER   := /powertools/python/layer

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Each process would compile its modules anew where bytecode is not written. Beside the sources it would become
# part of the functions' asset.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/pycache

# The account of localaws, for the targets that use it: the variables that every AWS tool reads.
ACCOUNT := AWS_ENDPOINT_URL=http://127.0.0.1:$(PORT) AWS_DEFAULT_REGION=us-east-1 \
           AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
LOCAL := env -u AWS_PROFILE -u AWS_SESSION_TOKEN -u AWS_REGION $(ACCOUNT) AWS_PAGER= SAM_CLI_TELEMETRY=0 \
          NO_PROXY="127.0.0.1,$$NO_PROXY"
DEPLOY_LOG := .localaws/sam-deploy.log
# The lines of sam's tables that report progress or an error.
BRIEFLY := { grep --line-buffered -E '^(CREATE|UPDATE|DELETE)_(COMPLETE|FAILED)|^Error|^Successfully|No changes' || true; }
# Both SDKs print long notices about their successors.
QUIET := SAGEMAKER_SUPPRESS_V2_WARNING=1 PYTHONWARNINGS=ignore
AT_PORT := $(if $(filter-out 4566,$(PORT)), PORT=$(PORT))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: check-data up deploy-local ## retrain and deploy on this laptop: DATA=file-or-folder, PARAMETERS='MinF1=0.9 …', PORT=4566
	@$(LOCAL) python -m demo --stack $(STACK) $(if $(DATA),--data "$(DATA)") \
	    --setup 'eval "$$(make -s env$(AT_PORT))"' --stop 'make down$(AT_PORT)'

.PHONY: check-data
check-data: install ## check a file or a folder by the data contract, without deploying anything: DATA=file-or-folder
	@$(if $(DATA),python -m demo --data "$(DATA)" --only-check)

.PHONY: up
up: install ## start localaws, the local AWS: RUNTIME=oci runs the images of `make images`
	@python -m localaws up --port $(PORT) $(if $(RUNTIME),--runtime $(RUNTIME))

.PHONY: down
down: ## stop localaws and delete its data
	@test ! -x $(PYTHON) || python -m localaws down --port $(PORT)

.PHONY: env
env: ## print the variables that point every AWS tool at localaws: eval "$(make -s env)"
	@echo 'export $(ACCOUNT) NO_PROXY="127.0.0.1,$$NO_PROXY" PATH="$(CURDIR)/$(VENV)/bin:$$PATH"; unset AWS_PROFILE AWS_SESSION_TOKEN'

.PHONY: deploy-local
deploy-local: install ## sam deploy to localaws: PARAMETERS='ModelContainer=linear …'
	@$(LOCAL) python -m localaws layer 'aws-lambda-powertools[tracer,parser]' --parameter $(LAYER)
	@echo "sam deploy --config-env local --stack-name $(STACK)   (full output: $(DEPLOY_LOG))"
	@parameters="$$(STACK="$(STACK)" python samconfig.py local $(PARAMETERS))" && $(LOCAL) sam deploy --config-env local \
	    --stack-name $(STACK) --parameter-overrides "$$parameters" 2>&1 | tee $(DEPLOY_LOG) | $(BRIEFLY)

.PHONY: deploy
deploy: install ## sam deploy to your AWS account; shows the changes and asks for confirmation: PARAMETERS='MinF1=0.9 …'
	@parameters="$$(STACK="$(STACK)" python samconfig.py default $(PARAMETERS))" && \
	    sam deploy --stack-name $(STACK) $${parameters:+--parameter-overrides "$$parameters"}

.PHONY: render
render: install ## render the definitions of the workflow and the pipeline
	@$(QUIET) python -m statemachine.workflow
	@$(QUIET) python -m pipeline.definition

.PHONY: check
check: install ## format, lint, types and the template's checks: what to run before each commit
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint types validate

.PHONY: lint
lint: install ## the format and the rules of ruff, and codespell
	@ruff format --check .
	@ruff check .
	@codespell

.PHONY: types
types: install ## mypy strict
	@mypy

.PHONY: validate
validate: install ## cfn-lint and sam validate
	@SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 sam validate --lint

.PHONY: test
test: check ## check, and every test: unit, local, e2e and images-test
	@$(PYTEST)

.PHONY: unit
unit: install ## test the code by itself: no server, no container's environment
	@$(PYTEST) tests/unit

.PHONY: local
local: install ## test localaws over HTTP, and this repository's containers on it
	@$(PYTEST) localaws/tests tests/local

.PHONY: e2e
e2e: install ## test the deployed loop: sam deploy to localaws, a file, two endpoints
	@$(PYTEST) tests/e2e

.PHONY: images-test
images-test: install ## test the built images: needs docker or podman, or buildah and debootstrap as root
	@$(PYTEST) tests/images

.PHONY: images
images: install ## build the images with docker, podman or buildah: NAME=linear, BASE_IMAGE=…, ARGUMENTS='--platform …'
	@python -m containers.tooling.build_images $(NAME) $(if $(BASE_IMAGE),--base-image $(BASE_IMAGE)) -- $(ARGUMENTS)

.PHONY: check-container
check-container: install ## run a container as SageMaker would and report which requirements it meets: NAME=linear, SAMPLE=folder, RUNTIME=oci
	@python -m localaws check-container containers/$(or $(NAME),linear) $(if $(SAMPLE),--sample "$(SAMPLE)") \
	    $(if $(filter oci,$(RUNTIME)),--runtime oci --image retrain/$(or $(NAME),linear):latest)

.PHONY: bench
bench: install ## measure most of docs/benchmarks.md: DATA=file-or-folder; takes minutes on an idle machine
	@failed=0; for each in ingestion growth engine classifiers training_growth serving; do \
	    $(LOCAL) python -m benchmarks.$$each $(if $(DATA),--data "$(DATA)") || { failed=$$?; \
	    test $$failed -ne 130 || break; }; done; exit $$failed

.PHONY: install
install: $(VENV)/.installed ## create the Python environment from requirements.lock

$(VENV)/.installed: requirements.lock localaws/pyproject.toml
	@python3 -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("python3 has to be 3.11, 3.12 or 3.13, not " + sys.version.split()[0])'
	@echo "Installing requirements.lock into $(VENV) (once)"
	@test -x $(VENV)/bin/uv || { python3 -m venv --clear $(VENV) && \
	    $(PYTHON) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/uv pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/uv pip install --quiet --no-deps --editable ./localaws
	@touch $@

.PHONY: lock
lock: install ## resolve pyproject.toml into requirements.lock
	@uv pip compile --quiet --universal --generate-hashes --no-emit-index-url $(GROUPS) --no-emit-package localaws \
	    --custom-compile-command 'make lock' pyproject.toml -o requirements.lock
