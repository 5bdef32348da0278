# The two commands of the README, and the developer's.  Everything is made in
# .venv and build/; `make clean` removes both.
#
#   make demo     the three demo programs
#   make test     the whole suite, soft then forced hard; C tests; lint
#   make build    the extension, installed in .venv
#   make bench    benchmarks
#   make debug    the suite with assertions and invariant walkers
#   make asan     the suite under AddressSanitizer and UBSan
#   make leaks    each test repeated, failing on a steady rise
#   make lint     all checks of style, also those that need extra tools
#   make matrix   the suite on every interpreter (see tools/get_pythons.py)
#
# Variables: PYTHON (which interpreter), T (what pytest is given: paths,
# options), CC, CFLAGS.

PYTHON ?= python3
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

.PHONY: all build demo test test-py test-c bench debug asan leaks lint \
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

# One stamp for each extra of pyproject.toml: demo, test, lint.  The demo can
# do without greenlet, which has no wheel for each Python and platform.
$(VENV)/.extra-%: $(VENV)/.made pyproject.toml
	@for each in $$($(EXTRA) $*); do \
	    $(PIP) install --only-binary=greenlet "$$each" || \
	    { [ '$*' = demo ] && echo "going on without $$each"; } || exit 1; \
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

bench: $(VENV)/.built $(VENV)/.extra-demo
	$(PY) benchmarks/run.py $(T)

test: lint-fast test-py test-c

test-py: $(VENV)/.built $(VENV)/.extra-test
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
	PYTHONPATH=build/asan LD_PRELOAD=$$(gcc -print-file-name=libasan.so) \
	    PYTHONMALLOC=malloc \
	    ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 \
	    $(PY) -m pytest -q $(NOLINT) $(T)

leaks: $(VENV)/.extra-test
	$(PY) tools/quickbuild.py $(PY) build/debug --debug --coretest
	PYTHONPATH=build/debug STACKLESS_TEST_LEAKS=1 $(PY) -m pytest -q $(NOLINT) $(T)

# pytest for every interpreter; pure Python, so one copy serves all.
build/site: pyproject.toml $(VENV)/.made
	@$(PIP) install --upgrade --target $@ $$($(EXTRA) test)
	@touch $@

matrix: build/site
	$(PY) tools/ci.py --only matrix

# --- lint ------------------------------------------------------------------

# Needs Python only; a second or two.
lint-fast: $(VENV)/.extra-test
	$(PYTEST) -q -p no:cacheprovider tests/lint

STUBTEST = $(PY) -m mypy.stubtest stackless \
    $(patsubst %,--allowlist %,$(wildcard tests/typing/stubtest_allow.txt))

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
