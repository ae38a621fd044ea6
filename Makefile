# Machine learning that retrains and deploys itself. `make` lists the targets.
SHELL := bash
.SHELLFLAGS := -o pipefail -c

PORT       ?= 4566
STACK      ?= retrain
DATA       ?=
PARAMETERS ?= # of the stack, such as ModelContainer=linear

VENV   := .venv
PYTHON := $(VENV)/bin/python
# One installer for the house and for the images' environments; the version is requirements.lock's.
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)
GROUPS := --group authoring --group dev --group containers
LAYER  := /powertools/python/layer

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# The laptop's account, for the targets that use it: the variables that every AWS tool reads.
ACCOUNT := AWS_ENDPOINT_URL=http://127.0.0.1:$(PORT) AWS_DEFAULT_REGION=us-east-1 \
           AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
LAPTOP := env -u AWS_PROFILE -u AWS_SESSION_TOKEN -u AWS_REGION $(ACCOUNT) AWS_PAGER= SAM_CLI_TELEMETRY=0 \
          NO_PROXY="127.0.0.1,$$NO_PROXY"
DEPLOY_LOG := .localaws/sam-deploy.log
# Of sam's tables, what is done and what went wrong.
BRIEFLY := { grep --line-buffered -E '^(CREATE|UPDATE|DELETE)_(COMPLETE|FAILED)|^Error|^Successfully|No changes' || true; }
# Both SDKs are of a version with a successor, and say so at length.
QUIET := SAGEMAKER_SUPPRESS_V2_WARNING=1 PYTHONWARNINGS=ignore
AT_PORT := $(if $(filter-out 4566,$(PORT)), PORT=$(PORT))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: up deploy-local ## retrain and deploy on this laptop: DATA=file-or-folder, PARAMETERS='MinF1=0.9 …', PORT=4566
	@$(LAPTOP) python -m demo --stack $(STACK) $(if $(DATA),--data "$(DATA)") \
	    --setup 'eval "$$(make -s env$(AT_PORT))"' --stop 'make down$(AT_PORT)'

.PHONY: up
up: install ## start the laptop's AWS: RUNTIME=oci runs containers as images, of `make images`
	@python -m localaws up --port $(PORT) $(if $(RUNTIME),--runtime $(RUNTIME))

.PHONY: down
down: ## stop the laptop's AWS; what it held is forgotten
	@test ! -x $(PYTHON) || python -m localaws down --port $(PORT)

.PHONY: env
env: ## print the variables that point every AWS tool at the laptop: eval "$(make -s env)"
	@echo 'export $(ACCOUNT) NO_PROXY="127.0.0.1,$$NO_PROXY" PATH="$(CURDIR)/$(VENV)/bin:$$PATH"; unset AWS_PROFILE AWS_SESSION_TOKEN'

.PHONY: deploy-local
deploy-local: install ## sam deploy to the laptop's AWS: PARAMETERS='ModelContainer=linear …'
	@$(LAPTOP) python -m localaws layer 'aws-lambda-powertools[tracer,parser]' --parameter $(LAYER)
	@echo "sam deploy --config-env local --stack-name $(STACK)   (all it says: $(DEPLOY_LOG))"
	@parameters="$$(STACK="$(STACK)" python samconfig.py local $(PARAMETERS))" && $(LAPTOP) sam deploy --config-env local \
	    --stack-name $(STACK) --parameter-overrides "$$parameters" 2>&1 | tee $(DEPLOY_LOG) | $(BRIEFLY)

.PHONY: deploy
deploy: install ## sam deploy to your AWS account; shows what would change, and asks: PARAMETERS='MinF1=0.9 …'
	@parameters="$$(STACK="$(STACK)" python samconfig.py default $(PARAMETERS))" && \
	    sam deploy --stack-name $(STACK) $${parameters:+--parameter-overrides "$$parameters"}

.PHONY: render
render: install ## write the workflow's and the pipeline's definitions from their Python
	@$(QUIET) python -m statemachine.workflow
	@$(QUIET) python -m pipeline.definition

.PHONY: lint
lint: install ## ruff, mypy strict, cfn-lint and sam validate
	@ruff check .
	@ruff format --check .
	@mypy
	@SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 sam validate --lint

.PHONY: test
test: lint ## lint, then unit tests, tests over HTTP, and the end-to-end test
	@python -m pytest

.PHONY: images
images: install ## build the images with docker, podman or buildah: NAME=linear, BASE_IMAGE=…, ARGUMENTS='--platform …'
	@python -m containers.tooling.build_images $(NAME) $(if $(BASE_IMAGE),--base-image $(BASE_IMAGE)) -- $(ARGUMENTS)

.PHONY: check-container
check-container: install ## run a container as SageMaker would, and tell what holds: NAME=linear, SAMPLE=folder, RUNTIME=oci
	@python -m localaws check-container containers/$(or $(NAME),linear) $(if $(SAMPLE),--sample "$(SAMPLE)") \
	    $(if $(filter oci,$(RUNTIME)),--runtime oci --image retrain/$(or $(NAME),linear):latest)

.PHONY: bench
bench: install ## measure most of docs/benchmarks.md: DATA=file-or-folder; minutes, on a quiet machine
	@failed=0; for each in ingestion growth engine classifiers training_growth serving; do \
	    $(LAPTOP) python -m benchmarks.$$each $(if $(DATA),--data "$(DATA)") || { failed=$$?; \
	    test $$failed -ne 130 || break; }; done; exit $$failed

.PHONY: install
install: $(VENV)/.installed ## make the Python environment from requirements.lock

$(VENV)/.installed: requirements.lock localaws/pyproject.toml
	@python3 -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("python3 has to be 3.11, 3.12 or 3.13, not " + sys.version.split()[0])'
	@echo "Installing what requirements.lock names into $(VENV) (once)"
	@test -x $(VENV)/bin/uv || { python3 -m venv --clear $(VENV) && \
	    $(PYTHON) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/uv pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/uv pip install --quiet --no-deps --editable ./localaws
	@touch $@

.PHONY: lock
lock: install ## resolve pyproject.toml anew into requirements.lock
	@uv pip compile --quiet --universal --generate-hashes --no-emit-index-url $(GROUPS) --no-emit-package localaws \
	    --custom-compile-command 'make lock' pyproject.toml -o requirements.lock
