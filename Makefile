# Needs Python >= 3.11 and make; everything else is installed into .venv, pinned by requirements.txt.
PYTHON ?= python3
BIN := .venv/bin
RUNS ?=

.PHONY: setup setup-browser quickstart test test-all check bench docs results requirements clean

setup: .venv/.ready

.venv/.ready: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "swath needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8"
	# compiled once, here: where PYTHONDONTWRITEBYTECODE is set every process would compile all of PyTorch for itself
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

# the tests of pages in a real browser skip without them; neither is a part of swath
AXE := build/axe-core
setup-browser: $(AXE)/axe.min.js ## what the tests of pages need: Chromium, and the accessibility checker axe-core
	command -v chromium || command -v chromium-browser || command -v google-chrome || apt-get install --yes chromium

$(AXE)/axe.min.js:
	mkdir -p $(AXE)
	cd $(AXE) && npm pack --silent axe-core@4.11.0 && tar --extract --gzip --file axe-core-4.11.0.tgz --strip-components=1 package/axe.min.js package/LICENSE
	touch $@

quickstart: setup ## the main job on the built-in synthetic landscape, minutes on two cores
	$(BIN)/swath quickstart

# one thread a process: several processes with several threads each wait for one another; what they compile is kept for the
# processes that tests start
PYTEST := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: setup ## the fast tests
	$(PYTEST) -m "not slow"

test-all: setup ## every test, the slow ones too
	$(PYTEST)

check: setup ## lint, format, types, import directions, documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest tests/test_architecture.py
	$(BIN)/swath report --into docs/results.md --check
	$(BIN)/swath compare --to docs/leaderboard.md --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: setup ## every published speed figure, as a table
	$(BIN)/python -m benchmarks all

docs: setup
	$(BIN)/mkdocs serve

results: setup ## write the tables of finished runs into the documents: make results RUNS="runs/a runs/b"
	$(BIN)/swath report $(RUNS) --into docs/results.md --images docs/images

requirements: ## resolve the pins anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header --no-annotate pyproject.toml --output-file requirements.txt

clean:
	rm -rf .venv site build dist
