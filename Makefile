# The machine part of paasta: `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

INVENTORY ?= inventories/local
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/paasta
STATE := $(or $(XDG_STATE_HOME),$(HOME)/.local/state)/paasta
# ENGINE=kubernetes adds to the machines of the inventory what makes them a Kubernetes cluster.
ENGINE ?= docker
PLAYBOOK := .venv/bin/ansible-playbook -i $(INVENTORY)$(if $(filter kubernetes,$(ENGINE)), -i $(INVENTORY)-kubernetes)

export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

.PHONY: help setup venv programs up down nodes bootstrap status docs

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Virtual environment with the pinned tools, collections (done by the other targets when needed)
	@scripts/setup

venv: setup

# The programs of Kubernetes, for its machines.
programs: setup
	@$(if $(filter kubernetes,$(ENGINE)),scripts/kubernetes-programs)

up: programs ## Everything: node containers, platform, example services (NODES=3 for three nodes, ENGINE=kubernetes)
	@$(PLAYBOOK) playbooks/up.yml $(if $(NODES),-e node_containers_count=$(NODES)) $(ARGS)

nodes: setup ## Only the node containers (NODES=n)
	@$(PLAYBOOK) playbooks/nodes.yml $(if $(NODES),-e node_containers_count=$(NODES)) $(ARGS)

bootstrap: programs ## Only the roles that turn the nodes into a platform
	@$(PLAYBOOK) playbooks/bootstrap.yml $(ARGS)

status: setup ## What really runs, as a table
	@$(PLAYBOOK) playbooks/status.yml $(ARGS)

docs: setup ## Write docs/schemas and the reference pages from the tables of keys and settings
	@.venv/bin/python tests/tools/generate_reference.py

down: setup ## Remove everything that `make up` made (KEEP_CACHES=1 keeps images, downloads and Docker Engine)
	@$(PLAYBOOK) playbooks/down.yml $(if $(KEEP_CACHES),-e keep_caches=true) $(ARGS)
	@scripts/down $(if $(KEEP_CACHES),--keep-caches)

-include make/test.mk
