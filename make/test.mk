# Tests and the Galaxy artefact. Included by the Makefile, whose target `setup` makes .venv from requirements.txt.
DEV := .venv/.requirements-dev
CHECK := .venv/bin/python tests/tools/check.py

.PHONY: test lint sanity unit kubernetes molecule cluster clusters mesh dist

test: $(DEV) ## Everything that has to be green: lint, sanity, unit, dist, kubernetes, molecule, mesh, programs, cluster
	@$(CHECK) lint+sanity unit dist kubernetes molecule mesh programs cluster </dev/null

lint: $(DEV) ## Static checks (ruff, shellcheck, antsibull, yamllint, mypy, ansible-lint)
	@$(CHECK) lint

sanity: $(DEV) ## ansible-test sanity, all tests
	@$(CHECK) sanity

unit: $(DEV) ## Unit tests and properties (ARGS="-k bounce" selects)
	@$(CHECK) unit -- $(ARGS)

kubernetes: $(DEV) ## Tests on a real Kubernetes API server (ARGS="-k rollout" selects)
	@$(CHECK) kubernetes -- $(ARGS) </dev/null

molecule: $(DEV) ## The whole platform on node containers: create, converge, idempotence, verify, destroy
	@$(CHECK) molecule -- $(ARGS) </dev/null

cluster: $(DEV) ## A Kubernetes cluster on node containers: made, looked at from all sides, a host lost and replaced
	@$(CHECK) programs cluster -- $(ARGS) </dev/null

clusters: $(DEV) ## The same, and its life: moves, removal, restore, new certificates, upgrade; not part of `make test`
	@$(CHECK) programs clusters -- $(ARGS) </dev/null

mesh: $(DEV) ## A real Envoy with the files that the mesh's writers make
	@$(CHECK) mesh -- $(ARGS) </dev/null

dist: $(DEV) ## Build and try out the collection's Galaxy artefact, roles included, in dist/
	@$(CHECK) dist

# `setup` decides by itself whether there is anything to do; the tools on top of it only when their list changes.
$(DEV): requirements.txt requirements-dev.txt | setup
	@echo "Installing the development tools into .venv"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
