# One door. `make demo` shows the main job, `make test` is everything CI runs; both set themselves up in .venv.
# Needs: git, make, Python >= 3.11 with venv. Uses uv where there is one, pip otherwise; both check the hashes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV   := .venv
BIN    := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
SEED   ?= 1

# The first Python that is new enough; override with `make PYTHON=/path/to/python3.12 test`.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
UV := $(shell command -v uv 2>/dev/null || true)
ifeq ($(UV),)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
else
INSTALL := $(UV) pip install --quiet --python $(BIN)/python
endif

# Tests that only their own target runs.
APART := not soak and not boot and not image

define not_yet
	@echo "make $@: not built yet: $(1)" >&2; exit 1
endef

.PHONY: help demo rehearse test quick lint bench soak enterprise boot deb image install coverage lock schema clean
help:
	@echo "make demo    the main job on the embedded world: two clusters, a lost region, a failover"
	@echo "make rehearse   scenarios with real processes, in real time: a quarter of an hour"
	@echo "make test    everything CI runs: set-up, lint, types, layers, tests (not soak, boot, image)"
	@echo "make quick   lint and the tests that need no real server, under a minute"
	@echo "make lint    ruff, ruff format --check, mypy --strict, import-linter"
	@echo "make soak    seeded days of faults, and losses: make soak SEED=7 DAYS=100 STACK_LOSSES=100"
	@echo "make enterprise  a whole failover on a licensed Vault Enterprise: WATCHDOGD_VAULT_BINARY, WATCHDOGD_VAULT_LICENSE"
	@echo "make install the daemon, its systemd unit and users, on this machine: make install PREFIX=/opt/watchdogd"
	@echo "make boot    the unit on a booted systemd in a container; root, Debian's mmdebstrap and systemd-container"
	@echo "make image   the container image, built and run; root, Debian's mmdebstrap and buildah"
	@echo "make bench   measure, and write docs/benchmarks.md; a short run: make bench BENCH=\"--quick --page FILE\""
	@echo "make deb                       see docs/ for what it is; what is missing says so"
	@echo "make coverage lock schema clean"

# ---------------------------------------------------------------------------------------------------------- set-up
# Stamps inside .venv: a second run installs nothing. The build back end is hashed too, hence --no-build-isolation.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 found: install one, or make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV) || { \
	  echo "make: $(PYTHON) has no venv module: install it (Debian: apt-get install python3-venv)" >&2; rm -rf $(VENV); exit 1; }; }
	@touch $@

$(VENV)/.run: $(VENV)/.made requirements.lock requirements-build.lock pyproject.toml
	@echo "installing what the daemon, the lab and the demo need (hashed: requirements.lock)"
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --require-hashes -r requirements-build.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	@echo "installing what lint and tests need (hashed: requirements-dev.lock)"
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

# ------------------------------------------------------------------------------------------------------------ doors
demo: $(VENV)/.run
	@test -f watchdogd/cli/lab.py || { echo "make demo: not built yet: watchdogd/cli/lab.py" >&2; exit 1; }
	@$(BIN)/watchdogd-lab demo

# Four at once, for two cores: two that think, behind two that mostly wait and must not be late. All are shown whole.
# The daemon's live tests choose their ports, so they go with the rest; other live tests have the lab's default port.
THINKING := tests/unit tests/runbooks tests/soak tests/test_tidy.py tests/test_docs.py
PLAYING  := tests/scenarios
LIVE     := $(filter-out tests/live/test_daemon%,$(wildcard tests/live/test_*.py))
test: lint
	@run() { $(PYTEST) -m "$(APART)" "$$@"; }; behind() { nice -n 5 $(PYTEST) -m "$(APART)" "$$@"; }; status=0; \
	behind $(THINKING) > $(VENV)/thinking.log 2>&1 & thinking=$$!; \
	behind $(PLAYING) > $(VENV)/playing.log 2>&1 & playing=$$!; \
	run $(LIVE) > $(VENV)/live.log 2>&1 & live=$$!; \
	run $(addprefix --ignore=,$(THINKING) $(PLAYING) $(LIVE)) || status=$$?; \
	for lane in $$thinking $$playing $$live; do wait $$lane || status=$$?; done; \
	cat $(VENV)/thinking.log $(VENV)/playing.log $(VENV)/live.log; exit $$status

quick: lint
	$(PYTEST) -q -m "$(APART) and not real and not live and not matrix"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

coverage: $(VENV)/.dev
	$(BIN)/coverage erase
	$(PYTEST) -q -m "$(APART) and not live" --cov=watchdogd --cov-branch --cov-report=term

# It goes on where it stopped (.soak/). What is not named is left out; without a name all of it is played. One of them alone:
# make soak SEED=7 DAY=123, LOSS=45, STACK_DAY=3, STACK_LOSS=45 or DOUBT=6. DOUBTS above all choices x all scenarios are mixes.
ASKED := $(DAYS)$(LOSSES)$(STACK_DAYS)$(STACK_LOSSES)$(DOUBTS)
DAYS         ?= $(if $(ASKED),0,10000)
LOSSES       ?= $(if $(ASKED),0,10000)
STACK_DAYS   ?= $(if $(ASKED),0,100)
STACK_LOSSES ?= $(if $(ASKED),0,1000)
DOUBTS       ?= $(if $(ASKED),0,30000)
soak: $(VENV)/.dev
	nice $(BIN)/python -m tests.soak.run --seed $(SEED) --days $(DAYS) --losses $(LOSSES) --stack-days $(STACK_DAYS) \
	  --stack-losses $(STACK_LOSSES) --doubts $(DOUBTS) $(if $(DAY),--day $(DAY)) $(if $(LOSS),--loss $(LOSS)) \
	  $(if $(STACK_DAY),--stack-day $(STACK_DAY)) $(if $(STACK_LOSS),--stack-loss $(STACK_LOSS)) \
	  $(if $(DOUBT),--doubt $(DOUBT))

# Shipped scenarios with real processes, one after the other: about a quarter of an hour. Others: make rehearse REHEARSE=NAME.
REHEARSE ?= region-lost primary-sealed observe-only replication-link-lost leaderless-and-one-node-rate-limited \
  load-balancer-of-the-secondary-empty 'old-primary-back-under-its-fence[run-ended]' 'fence-confirms-late[exit 75]' \
  'anchors-cut[over]' 'token-refused[first-never-worked]'
rehearse: $(VENV)/.run
	@for each in $(REHEARSE); do timeout 600 $(BIN)/watchdogd-lab run "$$each" --live || exit 1; done

# About twelve minutes; the numbers are those of the machine, so it wants to be idle.
bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench.run $(BENCH)

# Six processes of the binary that WATCHDOGD_VAULT_BINARY names, with the licence file of WATCHDOGD_VAULT_LICENSE.
enterprise: $(VENV)/.dev
	@$(BIN)/python -m tests.support.licensed
	$(PYTEST) -v -p no:randomly -k "vault-" tests/real/test_enterprise.py

# Root, and Debian's mmdebstrap and systemd-container. The root file system is made once and kept in .venv/boot.
boot: $(VENV)/.dev
	$(PYTEST) -m boot --timeout=900

deb:
	$(call not_yet,there is no Debian package yet)

# Root, and Debian's mmdebstrap and buildah. The base, the wheels and the image are kept in .venv/image.
image: $(VENV)/.dev
	$(PYTEST) -m image --timeout=900

# ---------------------------------------------------------------------------------------------------------- install
# The daemon, its unit and what that needs, for this machine or below DESTDIR. Only the hashed locks say what is installed.
PREFIX  ?= /opt/watchdogd
DESTDIR ?=
ETC     := $(DESTDIR)/etc
UNITS   := $(ETC)/systemd/system
TARGET  := $(DESTDIR)$(PREFIX)
install: $(VENV)/.run
	$(PYTHON) -m venv --without-pip $(TARGET)
	$(BIN)/python -m pip --disable-pip-version-check --python $(TARGET)/bin/python install --quiet --require-hashes -r requirements.lock
	rm -rf dist && $(BIN)/python -m hatchling build -t wheel >/dev/null
	$(BIN)/python -m pip --disable-pip-version-check --python $(TARGET)/bin/python install --quiet --no-deps --force-reinstall dist/*.whl
	@test -z "$(DESTDIR)" || grep -rlIF "$(TARGET)" $(TARGET)/bin | xargs -r sed -i "s#$(TARGET)#$(PREFIX)#g"
	install -D -m 0644 systemd/watchdogd.service $(UNITS)/watchdogd.service
	sed -i "s#/opt/watchdogd/#$(PREFIX)/#g" $(UNITS)/watchdogd.service
	test -e $(UNITS)/watchdogd.service.d/credentials.conf || \
	  install -D -m 0644 systemd/credentials.conf $(UNITS)/watchdogd.service.d/credentials.conf
	install -D -m 0644 systemd/watchdogd.sysusers $(ETC)/sysusers.d/watchdogd.conf
	install -D -m 0644 systemd/watchdogd.tmpfiles $(ETC)/tmpfiles.d/watchdogd.conf
	install -d $(DESTDIR)/usr/local/bin && ln -sf $(PREFIX)/bin/watchdogd $(PREFIX)/bin/watchdogctl $(DESTDIR)/usr/local/bin/
	@test -n "$(DESTDIR)" || { systemd-sysusers watchdogd.conf && systemd-tmpfiles --create watchdogd.conf && systemctl daemon-reload; }

# ---------------------------------------------------------------------------------------------------- for developers
# No header and no annotations: the locks then hold names, versions and hashes, and no host name or path.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-strip-extras \
	--no-emit-index-url --no-emit-find-links
lock:
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(COMPILE) pyproject.toml --extra lab --extra cli -o requirements.lock
	$(COMPILE) pyproject.toml --extra dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --group build -c requirements-dev.lock -o requirements-build.lock

schema: $(VENV)/.dev
	$(BIN)/python -m watchdogd.adapters.config_schema > config/watchdogd.schema.json
	$(BIN)/python -m watchdogd.daemon.openapi > docs/openapi.json

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* dist build
