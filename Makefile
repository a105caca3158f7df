# All targets work as the first command in a fresh checkout: they make a virtual environment and build what is missing.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Any version and flavour of README.md's table.
TENSORFLOW ?= tensorflow>=2.21,<2.22
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder
CXX_FILES = $(wildcard release/*.h cc/*/*.h cc/*/*.cc tests/*.h tests/*.cc benchmarks/*.cc)

# Of `make fuzz` and `make fuzz-core`: how long; and of the former the first seed, and words that descriptions of cases must have.
SECONDS = 60
SEED = 0
ONLY =

.PHONY: demo test test-all test-every sanitize fuzz fuzz-core bench docs lint format wheel test-wheel clean

demo: $(VENV)/installed
	$(BIN)/python examples/qz_gradient.py

test: $(VENV)/installed
	$(PYTEST) -m "not slow"

# Slow tests too, in $(PARTS) runs: what TensorFlow and XLA keep of thousands of programs is given back between them.
slow = failed=0; for part in $(PARTS); do $(PYTEST) -m slow --durations=10 --part $$part/$(words $(PARTS)) --share $(SHARE) || failed=1; done; exit $$failed

# Of the cases of each of them every seventh (no size of a product). Another SHARE, from 2/7 to 7/7, has others.
test-all: SHARE = 1/7
test-all: PARTS = 1 2
test-all: test
	$(slow)

# All cases: about an hour.
test-every: SHARE = 1/1
test-every: PARTS = 1 2 3 4 5 6 7 8
test-every: test
	$(slow)

# The C++ without TensorFlow under AddressSanitizer and UBSan, and what threads do at once under ThreadSanitizer.
sanitize: $(VENV)/installed
	$(PYTEST) tests/test_core.py tests/test_core_threads.py

# Inputs that reach more and more of it, for so many seconds for each of seven targets; needs clang.
fuzz-core: $(VENV)/installed
	$(BIN)/python tests/core_fuzzing.py --seconds $(SECONDS)

# Random pencils through all functions: tests/fuzz_values.
fuzz: $(VENV)/installed
	PYTHONPATH=tests $(BIN)/python -m fuzz_values --seconds $(SECONDS) --seed $(SEED) --only "$(ONLY)"

bench: $(VENV)/installed
	$(BIN)/python benchmarks/run.py

# Warnings are errors.
docs: $(VENV)/generator
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -c docs . build/docs

lint: $(VENV)/linters
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)

format: $(VENV)/linters
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(CXX_FILES)

# One for several versions of TensorFlow, in build/wheel/dist; and in fresh environments, without a compiler.
wheel:
	$(PYTHON) release/wheel.py

test-wheel: wheel
	$(PYTHON) release/try_wheel.py build/wheel/dist/*.whl

# The library is compiled against the TensorFlow of this environment, hence no build isolation.
$(VENV)/installed: setup.py pyproject.toml $(wildcard cc/*/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools>=77"
	$(BIN)/python -m pip install --quiet "$(TENSORFLOW)" scipy-openblas32
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[test]"
	touch $@

# To look at the code nothing need be built.
$(VENV)/linters: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "ruff>=0.14" "clang-format>=21"
	touch $@

# Nor to read about it: names and docstrings need TensorFlow, and not the library. The metadata lists what else.
$(VENV)/generator: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools>=77"
	$(BIN)/python setup.py --quiet egg_info
	$(BIN)/python -c "from importlib.metadata import requires; \
	  print(*(line.split(';')[0] for line in requires('tfqz') if 'extra ==' not in line or 'docs' in line or 'cpu' in line), sep='\n')" > $(VENV)/needed
	$(BIN)/python -m pip install --quiet --requirement $(VENV)/needed
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info tfqz/libtfqz_*.so tfqz/built.json
