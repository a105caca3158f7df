# Both targets work as the first command in a fresh checkout: they make a virtual environment and build what is missing.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test bench clean

demo: $(VENV)/installed
	$(BIN)/python examples/qz_gradient.py

test: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

bench: $(VENV)/installed
	$(BIN)/python benchmarks/run.py

# The library is compiled against the TensorFlow of this environment, hence no build isolation.
$(VENV)/installed: setup.py pyproject.toml $(wildcard cc/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools>=77"
	$(BIN)/python -m pip install --quiet "tensorflow>=2.21,<2.22" scipy-openblas32
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[test]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info tfqz/libtfqz.so tfqz/built.json
