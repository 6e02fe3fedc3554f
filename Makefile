# Every target works on a fresh checkout: it first makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test check bench storm alert-drill up down logs compose-demo compose-test lock clean

install: $(STAMP)

# uv only makes it faster: where it cannot be had, pip does the same from the same hashes.
$(STAMP): requirements.lock requirements/*.txt setup.cfg pyproject.toml client/pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit("hourmark needs Python >= 3.11, but $(PYTHON) is " + sys.version.split()[0] + "; try: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) ..."
	@if command -v uv >/dev/null 2>&1 || $(BIN)/python -m pip install -q --disable-pip-version-check uv 2>/dev/null; then \
		export PATH="$(CURDIR)/$(BIN):$$PATH" VIRTUAL_ENV="$(CURDIR)/$(VENV)"; \
		uv pip install -q --require-hashes -r requirements.lock && uv pip install -q --no-deps --no-build-isolation -e . -e client; \
	else \
		$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock && \
		$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . -e client; \
	fi
	@touch $@

demo: install
	$(BIN)/hourmark demo

# Two at a time, each with servers of its own: most tests wait for servers, not for a core. One file stays in one process.
test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	@if docker compose version >/dev/null 2>&1; then $(COMPOSE) --profile '*' config --quiet && echo "docker/compose.yaml is sound"; \
	else echo "no docker compose here: docker/compose.yaml is not checked"; fi

bench: install
	$(BIN)/hourmark bench

# Faults of every kind against a stack of its own, then an account by id: ten minutes. More options: STORM="--only kill,zombie --index compact".
ROUNDS ?= 200
SEED ?= 7
storm: install
	$(BIN)/hourmark storm --rounds $(ROUNDS) --seed $(SEED) $(STORM)

# Every alert made to fire by its real cause, healed, and the events counted: half an hour. More options: DRILL="--only HourmarkSinkHeld".
alert-drill: install
	$(BIN)/python -m tests.monitoring.drill $(DRILL)

# The platform in containers on this machine: docs/deploy.md.
COMPOSE := docker compose -f docker/compose.yaml

up:
	$(COMPOSE) up -d --build --wait

# Volumes stay: events, hours and secrets are there at the next `make up`. With `-v` at the end they would go too.
down:
	$(COMPOSE) --profile '*' down

logs:
	$(COMPOSE) logs --follow --tail 50 $(SERVICE)

# The same demo, in containers of its own beside those of `make up`.
compose-demo: install
	$(BIN)/hourmark demo --compose

# Every container killed, scaled, restarted and upgraded under load, then an account by id: ten minutes at most. Other parts: PARTS=ramp,cost.
compose-test: install
	$(BIN)/python -m tests.compose $(if $(PARTS),--only $(PARTS))

# New versions of everything: review the diff, run the tests, commit.
lock:
	touch setup.cfg  # uv keeps what it read of it, and looks at nothing else
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --all-extras --upgrade -q \
		setup.cfg client/pyproject.toml requirements/build.txt -o requirements.lock

clean:
	rm -rf $(VENV) .hourmark build *.egg-info client/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
