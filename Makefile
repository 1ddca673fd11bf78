# The front door. `make run` starts a server, `make test` checks everything.

CARGO   ?= cargo
PROFILE ?= release
TARGET  := $(or $(CARGO_TARGET_DIR),target)
HOST    := $(shell rustc -vV | sed -n 's/^host: //p')
# Cargo's `dev` profile lives in a folder called `debug`.
BUILT   := $(TARGET)/$(HOST)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/natter
OUT     ?= dist/natter
IMAGE   ?= natter:latest
ARGS    ?=

.PHONY: help run test crash compat bench soak kills static image fmt lint docs

help:            ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

run:             ## a server on port 4222, monitoring on 8222, data in ./data (ARGS="...": its flags)
	$(CARGO) run --locked --release --bin natter -- server $(or $(ARGS),-m 8222 -js -sd data)

test:            ## every check of behaviour; the last line counts parts
	tests/run

crash:           ## power cuts at every point of a scripted life, with all that may survive
	NATTER_ALL_CRASHES=1 $(CARGO) test --locked --lib crash_tests -- --nocapture

compat:          ## foreign clients and golden transcripts only
	python3 tests/compat/run.py $(ARGS)

bench:           ## our server against nats-server, alternately (ARGS="--quick": a short look)
	python3 tests/bench/bench.py $(ARGS)

soak:            ## connections, slow consumers and subscriptions that come and go
	python3 tests/bench/soak.py $(ARGS)

kills:           ## kill -9 under load, 200 times (NATTER_KILLS=n, NATTER_SEED=n, NATTER_SERVER=path)
	NATTER_KILLS=$(or $(NATTER_KILLS),200) $(CARGO) test --locked --test it process::kill -- --nocapture

static:          ## one static binary, in dist/natter (OUT=...)
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --locked --profile $(PROFILE) --target $(HOST) --bin natter
	mkdir -p $(dir $(OUT))
	strip -o $(OUT) $(BUILT)

image: static    ## a container image with that binary (buildah; IMAGE=name:tag)
	buildah build --isolation chroot --target image --build-context binary=$(dir $(OUT)) --tag $(IMAGE) .

fmt:             ## format the code
	$(CARGO) fmt
	$(CARGO) fmt --manifest-path tests/bench/loadgen/Cargo.toml

lint:            ## what CI asks of form: fmt, clippy, docs, dependencies
	.ci/lint

docs:            ## the API documentation, in target/doc
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps
