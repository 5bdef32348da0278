# The two commands of the README, and the developer's.  Everything is made in
# .venv and build/; `make clean` removes both.
#
#   make demo     the three demo programs
#   make test     the whole suite, soft then forced hard; C tests; lint
#   make build    the extension, installed in .venv
#   make bench    benchmarks beside their peers: table, JSON, plots
#   make debug    the suite with assertions and invariant walkers
#   make asan     the suite under AddressSanitizer and UBSan
#   make leaks    each test repeated, failing on a steady rise
#   make attack   random programs with fresh seeds, against a model
#   make lint     all checks of style, also those that need extra tools
#   make matrix   the suite on every interpreter (see tools/get_pythons.py)
#
# Variables: PYTHON (which interpreter), T (what pytest or benchmarks/run.py is
# given: paths, options), CC, CFLAGS; for bench and attack LABEL: one of the
# interpreters of tools/get_pythons.py; for attack that may be all, and MINUTES;
# for bench QUICK=1 (small sizes) and JSON (where to write).

PYTHON ?= python3
LABEL ?=
T ?=

VENV := .venv
PY := $(VENV)/bin/python
# meson-python looks for meson and ninja on PATH.
VENV_PATH := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
MESON := $(VENV_PATH) meson
PIP := $(PY) -m pip -q --disable-pip-version-check
PYTEST := $(PY) -m pytest
NOLINT := --ignore=tests/lint
# Prints the requirements of one extra of pyproject.toml.
EXTRA := $(PY) -c 'import sys, tomllib; print(*tomllib.load(open("pyproject.toml", \
    "rb"))["project"]["optional-dependencies"][sys.argv[1]])'

SOURCES := $(shell find src -type f ! -name '*.pyc' ! -name '*~')
C_TESTS := $(wildcard tests/c/*.c tests/c/*.h)

.PHONY: all build demo test test-py test-c bench debug asan leaks attack lint \
        lint-fast lint-slow tidy matrix clean
.DELETE_ON_ERROR:

all: build

# --- the environment -------------------------------------------------------

# A Debian without python3-venv has no ensurepip; its pip, if there, will do.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 15))' || { \
	    echo 'stackless needs CPython 3.11 to 3.15: make PYTHON=python3.x ...' >&2; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	    rm -rf $(VENV) && $(PYTHON) -m venv --without-pip $(VENV) && \
	    $(PYTHON) -m pip --python $(PY) install -q pip; } 2>/dev/null || { \
	    echo 'this Python has neither ensurepip nor pip: apt-get install python3-venv' >&2; exit 1; }
	@$(PIP) install 'pip>=23.1' 'meson-python>=0.18' ninja
	@touch $@

# One stamp for each extra of pyproject.toml.  The demo, the tests and the
# benchmarks can do without the extensions, which have no wheels for each Python
# and platform.
COMPILED := greenlet,gevent,cython,uvloop,matplotlib,numpy,pillow,contourpy,kiwisolver
$(VENV)/.extra-%: $(VENV)/.made pyproject.toml
	@for each in $$($(EXTRA) $*); do \
	    $(PIP) install --only-binary=$(COMPILED) "$$each" || \
	    case '$*' in \
	        demo|extensions|bench) echo "going on without $$each" ;; \
	        *) exit 1 ;; \
	    esac; \
	done
	@touch $@

$(VENV)/.built: $(VENV)/.made $(SOURCES) meson.build meson.options pyproject.toml
	@echo 'building stackless ...'
	@$(VENV_PATH) $(PIP) install --no-build-isolation --no-deps \
	    --force-reinstall -Cbuild-dir=build/meson .
	@touch $@

build: $(VENV)/.built

# --- run -------------------------------------------------------------------

demo: $(VENV)/.built $(VENV)/.extra-demo
	$(PY) -m stackless examples/demo/main.py

JSON ?= build/bench$(if $(LABEL),-$(LABEL)).json
BENCH = benchmarks/run.py --json $(JSON) $(if $(QUICK),--quick) \
    $(if $(LABEL),--plots build/plots/$(LABEL)) $(T)
QUICK ?=

bench: $(VENV)/.made
ifeq ($(LABEL),)
	@$(MAKE) --no-print-directory $(VENV)/.built $(VENV)/.extra-bench
	$(PY) $(BENCH)
else
	@$(MAKE) --no-print-directory build/bench/$(LABEL)
	@$(PY) -c 'import sys; sys.path[:0] = ["benchmarks"]; import _peers; _peers.have("go")'
	PYTHONPATH=$(CURDIR)/build/bench/$(LABEL) $(PY) tools/in_python.py $(LABEL) \
	    --build -- $(BENCH)
endif

# The peers for another interpreter than that of .venv.
build/bench/%: pyproject.toml $(VENV)/.made
	@install="$(PIP) install --upgrade --only-binary=:all: --implementation cp \
	    --python-version $(firstword $(subst -, ,$*)) --target $@"; \
	set -- $$($(EXTRA) bench); \
	$$install "$$@" || for each in "$$@"; do \
	    $$install "$$each" || echo "going on without $$each"; \
	done
	@mkdir -p $@ && touch $@

test: lint-fast test-py test-c

test-py: $(VENV)/.built $(VENV)/.extra-test $(VENV)/.extra-extensions
	$(PYTEST) -q $(NOLINT) $(T)
	STACKLESS_TEST_HARD=1 $(PYTEST) -q $(NOLINT) $(T)

test-c: $(VENV)/.made $(C_TESTS)
	@test -d build/c || $(MESON) setup build/c --buildtype=debug \
	    -Dcheck=true -Dextension=false >/dev/null
	$(MESON) test -C build/c --print-errorlogs

# --- other builds (tools/quickbuild.py does them, no meson needed) ----------

debug: $(VENV)/.extra-test
	$(PY) tools/quickbuild.py $(PY) build/debug --debug --coretest
	PYTHONPATH=build/debug $(PY) -X dev -m pytest -q $(NOLINT) $(T)

asan: $(VENV)/.extra-test
	$(PY) tools/quickbuild.py $(PY) build/asan --asan --coretest
	PYTHONPATH=build/asan \
	    LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so.6)" \
	    PYTHONMALLOC=malloc \
	    ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 \
	    $(PY) -m pytest -q $(NOLINT) $(T)

leaks: $(VENV)/.extra-test
	$(PY) tools/quickbuild.py $(PY) build/debug --debug --coretest
	PYTHONPATH=build/debug STACKLESS_TEST_LEAKS=1 $(PY) -m pytest -q $(NOLINT) $(T)

# With assertions and walkers; without LABEL on the interpreter of .venv.
MINUTES ?= 5
ALL_LABELS = $(shell $(PY) -c 'import sys; sys.path.insert(0, "tools"); \
    import get_pythons; print(*get_pythons.LABELS)')
ATTACK := tests/attack/attack.py --minutes $(MINUTES)

attack: $(VENV)/.made
ifeq ($(LABEL),)
	$(PY) tools/quickbuild.py $(PY) build/debug --debug --coretest
	PYTHONPATH=build/debug $(PY) $(ATTACK)
else
	@failed=0; for label in $(if $(filter all,$(LABEL)),$(ALL_LABELS),$(LABEL)); do \
	    $(PY) tools/in_python.py $$label --build --debug --coretest -- \
	        $(ATTACK) || failed=1; \
	done; exit $$failed
endif

# pytest for every interpreter; pure Python, so one copy serves all.  What is
# compiled has a folder for each version; tests do without it where it lacks.
build/site: pyproject.toml $(VENV)/.made
	@$(PIP) install --upgrade --target $@ $$($(EXTRA) test)
	@for minor in 3.11 3.12 3.13 3.14 3.15; do \
	    install="$(PIP) install --upgrade --only-binary=:all: --implementation \
	        cp --python-version $$minor --target $@/$$minor"; \
	    set -- coverage $$($(EXTRA) extensions); \
	    $$install "$$@" || for each in "$$@"; do \
	        $$install "$$each" || echo "going on without $$each for $$minor"; \
	    done; \
	done
	@touch $@

matrix: build/site
	$(PY) tools/ci.py --only matrix

# --- lint ------------------------------------------------------------------

# Needs Python only; a second or two.
lint-fast: $(VENV)/.extra-test
	$(PYTEST) -q -p no:cacheprovider tests/lint

STUBTEST = $(PY) -m mypy.stubtest stackless \
    --mypy-config-file tests/typing/stubtest.ini \
    --allowlist tests/typing/stubtest_allow.txt

# Needs clang-format and mypy, both from pip.
lint-slow: $(VENV)/.extra-lint $(VENV)/.built
	$(PY) tools/check_format.py
	$(STUBTEST)

lint: lint-fast lint-slow

# Needs clang-tidy; not part of CI.
tidy: $(VENV)/.built
	clang-tidy -p build/meson --quiet $$(find src -name '*.c' ! -path '*/_coretest/*')

clean:
	rm -rf build $(VENV)
