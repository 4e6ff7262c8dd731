# Each target does all the set-up it needs: Python 3.11+ and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(sort $(dir $(wildcard plugins/*/pyproject.toml)))
STAMP := $(VENV)/.installed

# where it is set, every process compiles torch and transformers anew, which takes longer than most of what it does
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test lint fix bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "medbench needs Python 3.11 or newer; name one with PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --group dev -e '.[parquet,plots,probe,site]' $(addprefix -e ,$(PLUGINS))
	@touch $@

DEMO := --task mimic-mrg --data demo/twin --metric rouge-l,twin-findings --runs-dir demo/runs

demo: $(STAMP)  ## the main job on a synthetic twin: baselines, a tiny LLaVA before and after fine-tuning, one table
	test -d demo/twin || $(BIN)/medbench twin mimic-cxr demo/twin --size 300
	$(BIN)/medbench run $(DEMO) --model most-common-report --quiet
	$(BIN)/medbench run $(DEMO) --model nearest-neighbour --quiet
	$(BIN)/medbench run $(DEMO) --model llava-lora --model-option preset=tiny --param max_new_tokens=64
	$(BIN)/medbench fit llava-lora --task mimic-mrg --data demo/twin --out demo/llava-lora --model-option preset=tiny
	$(BIN)/medbench run $(DEMO) --model llava-lora --model-option weights=demo/llava-lora
	$(BIN)/medbench leaderboard show mimic-mrg --metric rouge-l,twin-findings --runs-dir demo/runs

test: $(STAMP)  ## the whole test suite, offline
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fix: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## make bench ONLY=name
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

clean:
	rm -rf $(VENV) demo dist runs bench.json .mypy_cache .pytest_cache .ruff_cache .hypothesis
