# The two commands of the README: `make reproduce-table2` and `make test`.

PROFILE ?= quick
RESULTS ?= results
SWEEP_FLAGS ?=
SPQAT := .build/release/spqat

.PHONY: all setup build mpi install data data-shapes reproduce-table2 reproduce-observation reproduce-controls reproduce-imagenet \
  sweep-threshold sweep-freeze-start sweep-bits test test-debug test-arm test-mpi test-slurm test-browser check schema bench bench-peer \
  smoke-imagenet soak fuzz faults sanitize clean

all: build

setup:
	@Scripts/setup.sh

build: setup
	@swift build -c release --product spqat

# What `mpirun -n N spqat` needs of MPI: a library that the program loads when it is started so. `make install` takes it along.
mpi:
	@Scripts/mpi/build.sh

# The program, configs, completions and manual pages under PREFIX (/usr/local), below DESTDIR where that is given.
install: build
	@Scripts/install.sh

# CIFAR-10 where it was imported, else Fashion-MNIST.
data: build
	@Scripts/setup.sh dataset-fashion-mnist
	@test -d datasets/cifar10 || test -d datasets/fashion-mnist || $(SPQAT) dataset import fashion-mnist

reproduce-table2: data
	@$(SPQAT) sweep configs/table2.json --profile $(PROFILE) --results $(RESULTS) $(SWEEP_FLAGS)

# Generated pictures of many sizes with their index, for the smoke profiles of configs/imagenet-*.json.
data-shapes: build
	@test -d datasets/shapes || $(SPQAT) dataset shapes

# MODEL: resnet18, resnet50, mobilenetv1 or mobilenetv2. Profile paper where nothing else is said.
MODEL ?= resnet18
reproduce-imagenet: build
	@test -f configs/imagenet-$(MODEL).json || { echo "MODEL is $(MODEL); allowed: resnet18, resnet50, mobilenetv1, mobilenetv2" >&2; exit 2; }
	@if [ "$(PROFILE)" = smoke ]; then $(MAKE) --no-print-directory data-shapes; \
	elif [ ! -e datasets/imagenet/index.tsv ]; then \
	  echo "datasets/imagenet has no indexed ImageNet: make it as datasets/README.md says, or try PROFILE=smoke on generated pictures" >&2; exit 2; fi
	@$(SPQAT) sweep configs/imagenet-$(MODEL).json --profile $(if $(filter smoke,$(PROFILE)),smoke,paper) --results $(RESULTS) $(SWEEP_FLAGS)

# Full QAT and shadow runs at 4, 3 and 2 bits; then tables and figures of what their levels did.
reproduce-observation: data
	@Scripts/setup.sh gnuplot-nox
	@$(SPQAT) sweep configs/observation.json --profile $(PROFILE) --results $(RESULTS) $(SWEEP_FLAGS)
	@$(SPQAT) observe $(RESULTS)/observation
	@$(SPQAT) report $(RESULTS)/observation

# Freezing by distance beside as many random weights, and beside stopping all at once.
reproduce-controls: data
	@Scripts/setup.sh gnuplot-nox
	@$(SPQAT) sweep configs/controls.json --profile $(PROFILE) --results $(RESULTS) $(SWEEP_FLAGS)
	@$(SPQAT) observe $(RESULTS)/controls
	@$(SPQAT) compare $(RESULTS)/controls
	@$(SPQAT) report $(RESULTS)/controls

sweep-threshold: data
	@$(SPQAT) sweep configs/ablation-threshold.json --profile $(PROFILE) --results $(RESULTS) $(SWEEP_FLAGS)

sweep-freeze-start: data
	@$(SPQAT) sweep configs/ablation-freeze-start.json --profile $(PROFILE) --results $(RESULTS) $(SWEEP_FLAGS)

sweep-bits: data
	@$(SPQAT) sweep configs/ablation-bits.json --profile $(PROFILE) --results $(RESULTS) $(SWEEP_FLAGS)

# Everything in release: no test looks inside modules, so what `make build` compiled serves; overflows, bounds and preconditions
# are checked there too, and nothing is asserted in debug alone.
test: setup
	@Scripts/test-python.sh
	swift test -c release --disable-testable-imports
	@Scripts/test-mpi.sh

# The same in debug, which builds in seconds after a change; with optimized kernels, since unoptimized C is some 90 times slower.
test-debug: setup
	swift test -Xcc -O2

# Random kills of sweeps and their workers, for SPQAT_SOAK_SECONDS (600 by default) or SPQAT_SOAK_KILLS; says how many.
# With SOAK_BUILD="-Xcc -O2" of the debug build.
SOAK_BUILD ?= -c release --disable-testable-imports
soak: setup
	SPQAT_SOAK_SECONDS=$${SPQAT_SOAK_SECONDS:-600} swift test $(SOAK_BUILD) --filter SoakTests

# All readers of files under libFuzzer and sanitizers, FUZZ_SECONDS (60) each.
fuzz: setup
	@Scripts/fuzz.sh

# System calls that fail: for SPQAT_FAULT_SECONDS (300 by default) at random, or as FAULTS says, such as "--ways 1": every call
# once, in some hours (faults.py can be told of fewer scenarios and calls).
FAULTS ?= --seconds $${SPQAT_FAULT_SECONDS:-300}
faults: build
	@mkdir -p .build/faults
	@cc -O2 -Wall -Wextra -Werror -shared -fPIC -o .build/faults/inject.so Tests/Faults/inject.c -ldl
	@python3 Tests/Faults/faults.py $(SPQAT) .build/faults/inject.so datasets/sample $(FAULTS)

# Thread sanitizer, then address and undefined-behaviour sanitizers: each builds everything once more.
sanitize: setup
	@Scripts/sanitize.sh

# The kernels for 64-bit Arm against the reference, under qemu-user; skipped where that cannot be installed.
test-arm:
	@Scripts/test-arm.sh

# Runs by several processes through MPI beside one process's; MPI_KILLS kills besides. Skipped where MPI is missing.
MPI_KILLS ?= 0
test-mpi: build
	@Scripts/test-mpi.sh --kill $(MPI_KILLS)

# On a real Slurm, installed and started on this machine where that is allowed; skipped elsewhere.
test-slurm: build
	@Scripts/test-slurm.sh

# The JSON Schema by which editors complete experiment files, from the settings' own descriptions.
schema: build
	$(SPQAT) schema > configs/schema.json

# The layout of Swift and C sources (Scripts/format-c.sh lays out the latter), documents and the schema against the code.
check: build
	@Scripts/format-c.sh --check
	swift format lint --strict --recursive --configuration .swift-format Package.swift Sources Tests
	@Scripts/check-documents.py
	@Scripts/check-documentation.py
	@Scripts/check-container.sh
	@$(SPQAT) schema | diff configs/schema.json - || { echo "configs/schema.json is old: make schema" >&2; exit 1; }

bench: build
	@$(SPQAT) bench

bench-peer: build
	@Scripts/peer/bench-peer.sh

# Smoke profiles of ImageNet's networks, each also with kill -9 in the midst of it. Minutes, and no part of `make test`.
smoke-imagenet: build
	@Scripts/smoke-imagenet.sh

# The report's page in headless Chromium.
test-browser: build
	@Scripts/test-browser.sh

clean:
	rm -rf .build
