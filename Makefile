# The menu. Each target first installs what it needs (scripts/setup.sh says what it cannot).

.DEFAULT_GOAL := help
SHELL := /bin/bash
export PATH := $(PATH):$(HOME)/.cargo/bin
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release/shadowtap
IMAGE ?= shadowtap:dev

.PHONY: help demo test lint bench fixtures tshark image

help: ## this menu
	@echo "shadowtap: make TARGET"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## the whole of it on this machine: a payment service, its shadow, the mirror between
	@scripts/setup.sh demo
	cargo build --release --locked
	@scripts/grant.sh $(RELEASE)
	$(RELEASE) demo

test: ## all tests, real servers and network namespaces included (root or sudo for the latter)
	@scripts/setup.sh test
	scripts/test.sh

lint: ## format, clippy, rustdoc, shell scripts, manifests
	@scripts/setup.sh lint
	@scripts/lint.sh

bench: ## speed beside libpcap, tcpdump, wrk and memcpy (root; docs/performance.md)
	@scripts/setup.sh bench
	cargo bench --locked --bench pipeline
	cargo build --release --locked
	scripts/bench.sh

fixtures: ## make the pcap fixtures anew from real servers and clients (root)
	@scripts/setup.sh build fixtures
	fixtures/make.sh
	cargo build --locked
	fixtures/make-demo.sh

tshark: ## compare with tshark what real servers and clients send (root; docs/fidelity-tshark.md)
	@scripts/setup.sh tshark
	scripts/show-tshark.sh

image: ## build the container image (IMAGE=shadowtap:dev)
	@scripts/setup.sh image
	DOCKER_BUILDKIT=1 docker build --tag $(IMAGE) .
