# One command for each thing a developer does. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help demo picture setup test verify failures simulate torture booted fuzz soak bench peers lint format lock install uninstall clean
ARGS ?=
WORKERS ?= 2
SEEDS ?= 100
SCHEDULES ?= 300
# containers set it for small images; every process that a test starts would compile all sources anew
unexport PYTHONDONTWRITEBYTECODE
PYTEST = .venv/bin/python -m pytest --numprocesses $(WORKERS) --dist worksteal

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: .venv/.base ## trade against a simulated exchange, offline and without keys; ARGS="--seconds 10" goes to `tickd demo`
	@.venv/bin/tickd demo $(ARGS)

picture: .venv/.base ## draw README's picture anew, from a demo
	.venv/bin/tickd demo --seconds 45 --svg docs/demo.svg

setup: .venv/.dev ## make .venv with everything that tests and training need

# they also wait, for processes and sockets: one worker more than CI has cores
test: WORKERS = 3
test: .venv/.dev ## all tests but the heavy ones
	$(PYTEST) -m "not heavy" $(ARGS)

verify: .venv/.dev .venv-peers/.peers ## the heavy proofs: long property tests, kills, whole captures
	$(PYTEST) -m "heavy or hypothesis" --hypothesis-profile heavy $(ARGS)

failures: .venv/.dev ## the twenty failures that hit live bots, and each without its handling; ARGS="-k 09"
	.venv/bin/python -m pytest -q -m "heavy or not heavy" tests/failures $(ARGS)

simulate: .venv/.dev ## play the daemon's whole world on virtual time, with faults from a seed; SEEDS=1000
	.venv/bin/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

torture: .venv/.dev ## kill -9 at named places of real processes, and while they recover; SCHEDULES=300
	TORTURE_SCHEDULES=$(SCHEDULES) .venv/bin/python -m pytest -s -m heavy tests/end_to_end/test_torture.py $(ARGS)

booted: .venv/.dev ## the unit under a systemd that has really booted, in a container; wants root, mmdebstrap, nspawn
	BOOTED=1 .venv/bin/python -m pytest -q -m heavy tests/booted $(ARGS)

fuzz: MINUTES ?= 10
soak: MINUTES ?= 30

fuzz: .venv/.dev ## feed damaged bytes to every decoder, file, configuration and command; MINUTES=10
	.venv/bin/python -m tests.fuzz --minutes $(MINUTES) $(ARGS)

soak: .venv/.dev ## trade on a bad line, a fault every 20 s, and tell what grows; MINUTES=30
	.venv/bin/python -m tests.soak --minutes $(MINUTES) $(ARGS)

bench: .venv/.dev ## measure tick to order beside a floor and a naive stack; fails beyond generous bounds
	.venv/bin/tickd bench latency --check $(ARGS)

peers: .venv-peers/.peers ## measure beside wickra, TA-Lib and nautilus_trader
	@.venv-peers/bin/python -m tests.bench.indicators $(ARGS)
	@.venv-peers/bin/python -m tests.bench.nautilus $(ARGS)

lint: .venv/.dev ## style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/.dev ## rewrite the sources in the project's style
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

lock: .venv/.dev ## resolve pyproject.toml into requirements/*.txt; ARGS=--upgrade takes the newest versions
	scripts/lock $(ARGS)

install: .venv/.base ## put a release into /opt/tickd and the systemd units in place; DESTDIR, PREFIX, GROUP=ccxt
	@scripts/install

uninstall: ## take both away again; configurations, journals and keys stay
	@scripts/install --uninstall

clean: ## remove what is made: virtual environments, caches of tools; var/ stays, for it holds journals
	rm -rf .venv .venv-peers build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# a test environment is also enough for the demo, so an existing one is not replaced
.venv/.base: requirements/base.txt pyproject.toml scripts/setup
	@if [ -e .venv/.dev ]; then scripts/setup dev; else scripts/setup base; fi
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml scripts/setup
	@scripts/setup dev
	@touch .venv/.base $@

.venv-peers/.peers: requirements/peers.txt pyproject.toml scripts/setup
	@scripts/setup peers
	@touch $@
