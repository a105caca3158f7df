# All targets work as the first command in a fresh checkout: they make a virtual environment and build what is missing.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder
CXX_FILES = $(wildcard cc/*/*.h cc/*/*.cc tests/*.cc benchmarks/*.cc)

.PHONY: demo test test-all bench lint format clean

demo: $(VENV)/installed
	$(BIN)/python examples/qz_gradient.py

test: $(VENV)/installed
	$(PYTEST) -m "not slow"

# In two runs: what TensorFlow and XLA keep of thousands of programs is given back between them.
test-all: test
	$(PYTEST) -m slow --durations=20

bench: $(VENV)/installed
	$(BIN)/python benchmarks/run.py

lint: $(VENV)/linters
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)

format: $(VENV)/linters
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(CXX_FILES)

# The library is compiled against the TensorFlow of this environment, hence no build isolation.
$(VENV)/installed: setup.py pyproject.toml $(wildcard cc/*/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools>=77"
	$(BIN)/python -m pip install --quiet "tensorflow>=2.21,<2.22" scipy-openblas32
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[test]"
	touch $@

# To look at the code nothing need be built.
$(VENV)/linters: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "ruff>=0.14" "clang-format>=21"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info tfqz/libtfqz.so tfqz/built.json
