# The short commands, the same for people and for CI. Without make: README.md gives the plain lines.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
VENV_PYTHON = .venv/bin/python
LAUNCH = @test -n "$(PYTHON)" || { \
	echo "TrendCast needs Python 3.11 or newer, and none is on the PATH: install it (Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv), then run make again." >&2; exit 1; }; \
	exec "$(PYTHON)" tools/launch.py

.PHONY: help run dev install install-dev test check format nightly prove-image soak bench sbom audit lock

help:
	@echo "make run      install what is needed into .venv and start the dashboard at http://localhost:8501"
	@echo "make dev      the same, reloading when a page changes"
	@echo "make test     the whole test suite"
	@echo "make check    linter, format and types"
	@echo "make format   put the code into the common format"
	@echo "make nightly  the long tests"
	@echo "make prove-image  build and run the container image where no container engine is at hand (Debian, as root)"
	@echo "make soak     an installation whose processes are killed again and again, for MINUTES=60 (needs nginx)"
	@echo "make bench    the measurements behind docs/benchmarks.md"
	@echo "make sbom     the bill of materials: every package that is installed for users, as CycloneDX"
	@echo "make audit    ask the advisory service about every package (needs the network)"
	@echo "make lock     renew requirements.lock and requirements-dev.lock from the ranges"

run:
	$(LAUNCH) run

dev:
	$(LAUNCH) dev

install:
	$(LAUNCH) install

install-dev:
	$(LAUNCH) install-dev

# A file's tests stay together, as its fixtures do, and what takes longest begins first (tests/conftest.py).
PARALLEL = -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: install-dev
	@$(VENV_PYTHON) -m pytest $(PARALLEL)

nightly: install-dev
	@$(VENV_PYTHON) tools/nightly.py

prove-image: install-dev
	@$(VENV_PYTHON) tools/prove_image.py

MINUTES ?= 60
KILL_EVERY ?= 300
soak: install-dev
	@$(VENV_PYTHON) benchmarks/soak.py --minutes $(MINUTES) --kill-every $(KILL_EVERY)

check: install-dev
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -m mypy

format: install-dev
	@$(VENV_PYTHON) -m ruff check --fix-only --quiet .
	@$(VENV_PYTHON) -m ruff format .

# The real retailers, for the measurements that need them (their data may not be part of this project).
DATA ?= $(or $(TRENDCAST_REAL_DATA),../shared/data)

bench: install-dev
	@for script in $(filter-out benchmarks/soak.py,$(wildcard benchmarks/[a-z]*.py)); do \
		data=""; grep -q '"--data"' "$$script" && data="--data $(DATA)"; \
		echo "== $$script $$data"; TRENDCAST_REAL_DATA="$(DATA)" $(VENV_PYTHON) "$$script" $$data || exit 1; \
	done

SBOM ?= outputs/sbom.json

sbom: install-dev
	@mkdir -p $(dir $(SBOM))
	@$(VENV_PYTHON) -m cyclonedx_py requirements requirements.lock --output-reproducible --of JSON --output-file $(SBOM)

audit: install-dev
	@$(VENV_PYTHON) -m pip_audit --requirement requirements.lock --disable-pip --require-hashes --strict

# One set of versions for every Python from 3.11 on; no index address is written into the files.
LOCK = UV_CUSTOM_COMPILE_COMMAND="make lock" $(VENV_PYTHON) -m uv pip compile --quiet --universal --fork-strategy fewest \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --upgrade
lock: install-dev
	$(LOCK) requirements.txt --output-file requirements.lock
	$(LOCK) requirements-dev.txt --constraints requirements.lock --output-file requirements-dev.lock
