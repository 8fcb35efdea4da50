#!/usr/bin/env python3
"""Write docs/schemas/, docs/soa-configs-reference.md and docs/settings-reference.md from their tables: `make docs`.

With --check nothing is written: exit status 1 and the names of the files that are not as they would be written.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(Path(__file__).resolve().parent)]

import settings_reference  # noqa: E402
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import keys  # noqa: E402
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.documents import DocumentKind  # noqa: E402
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.schema import json_schema  # noqa: E402
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.shapes import (  # noqa: E402
    UNSET,
    Key,
    ListOf,
    MapOf,
    OneOf,
    Shape,
    Struct,
)

PAGE = "docs/soa-configs-reference.md"
SETTINGS_PAGE = "docs/settings-reference.md"
SCHEMAS = "docs/schemas"
# What has a table of its own is named where it is used, not written out again.
_ACTION_OF_A_LIST = keys.JOB.by_name["actions"].shape.shapes[1].item
ELSEWHERE = {
    id(keys.MONITORING): "the keys of [monitoring.yaml](#monitoringyaml)",
    id(keys.ACTION): "an [action](#actions)",
    id(_ACTION_OF_A_LIST): "an [action](#actions) with its name",
    id(keys.STEP): "a [step](#deployyaml)",
}
Row = tuple[str, Key, bool]  # path, key, whether it is at the top

INTRODUCTION = """\
<!-- Made by `make docs` from the table of keys. Changes here are lost. -->
# Reference of soa-configs: every key

Every document, every key: what it may be, what it is when it is absent, and what it means. The same table checks the
files, so what stands here is what is accepted. How files become instances is in [soa-configs](soa-configs.md).

* `key[]` is any item of a list, `<name>` a name of your choice.
* **default** is what holds when the key is absent; *required* keys have to be there.
* **restarts**: a change of the key replaces the containers. What is inside a key follows it.
* Keys without effect are accepted because old files have them.
* Top-level keys that begin with `_` are templates, in every YAML document but `authenticating.yaml`, `MASTER.yaml` and
  those in `autotuned_defaults/`.

| file | what it holds | schema |
|---|---|---|
"""
EDITORS = """
## In an editor

The schemas in [`schemas/`](schemas/) make an editor complete keys, show what they mean, and mark mistakes. For VS Code
with the YAML extension, in `.vscode/settings.json` of the soa-configs repository, with the path of this repository:

```json
{settings}
```

For one file in any editor with the YAML language server, as its first line:

```yaml
# yaml-language-server: $schema=/path/to/paasta/docs/schemas/kubernetes.json
```

The schemas are of JSON Schema's draft 7. They see one file at a time: whether a deploy group, a registration or a
secret exists, only paasta itself can tell.
"""
CUSTOM = """
Everything in an instance is handed on as the `spec` of its object, and the operator decides what a change does. The
keys below are those that paasta looks at. `paasta_custom_resource_types` in the inventory adds types.
"""
SERVICE = """
## `service.yaml`

Its own keys. Every key of an instance may stand here too, as a default of all instances.

"""
AUTOTUNED = """
## `autotuned_defaults`

`autotuned_defaults/<type>-<cluster>.yaml`: for each instance at least one of these.

"""
RETIRED = """
## Retired

| file | |
|---|---|
"""


def every_kind() -> list[DocumentKind]:
    return [*keys.DOCUMENTS.values(), keys.CUSTOM_RESOURCE]


def generate() -> dict[str, str]:
    """Every generated file by its path from the root of the repository."""
    schemas: dict[str, str] = {}
    for kind in every_kind():
        text = json.dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n"
        schemas.setdefault(f"{SCHEMAS}/{kind.schema}.json", text)
    return {**schemas, PAGE: page(), SETTINGS_PAGE: settings_reference.markdown()}


def page() -> str:
    parts = [INTRODUCTION, *(_document_row(kind) for kind in keys.DOCUMENTS.values())]
    parts += [f"{EDITORS.replace('{settings}', settings())}", *sections(), RETIRED]
    parts += [f"| `{name}-<cluster>.yaml` | {_cell(text)} |\n" for name, text in keys.RETIRED_TYPES.items()]
    return "".join(parts)


def _document_row(kind: DocumentKind) -> str:
    return f"| `{kind.path}` | {kind.doc} | [{kind.schema}](schemas/{kind.schema}.json) |\n"


def settings() -> str:
    """VS Code's settings: schemas of YAML by file name, of JSON as a list."""
    yaml: dict[str, list[str]] = {}
    json_files: dict[str, list[str]] = {}
    for kind in keys.DOCUMENTS.values():
        mapping = json_files if kind.path.endswith(".json") else yaml
        mapping.setdefault(f"/path/to/paasta/docs/schemas/{kind.schema}.json", []).append(kind.glob)
    lines = [f"    {json.dumps(path)}: {json.dumps(globs)}" for path, globs in yaml.items()]
    files = [f"    {json.dumps({'url': f'file://{path}', 'fileMatch': globs})}" for path, globs in json_files.items()]
    # As paasta reads YAML: yes is true.
    version = '  "yaml.yamlVersion": "1.1",\n'
    parts = {"yaml.schemas": ("{", lines, "}"), "json.schemas": ("[", files, "]")}
    text = ",\n".join(
        f'  "{name}": {opening}\n' + ",\n".join(inside) + f"\n  {closing}"
        for name, (opening, inside, closing) in parts.items()
    )
    return f"{{\n{version}{text}\n}}"


def sections() -> Iterator[str]:
    """The tables, in the order in which a service is written."""
    yield "\n## Instances\n\n`kubernetes-`, `eks-`, `marathon-` and `adhoc-<cluster>.yaml`: for each instance.\n\n"
    rows = [row for key in keys.INSTANCE_KEYS for row in rows_of(Struct((key,)))]
    applies = {id(key): key.applies for key in keys.INSTANCE_KEYS}
    everywhere = frozenset(keys.INSTANCE)
    yield table(rows, restarts=True, applies=lambda key: _types(applies.get(id(key)), everywhere))
    yield SERVICE
    yield table(rows_of(Struct(keys.SERVICE_KEYS)), restarts=True)
    yield from _plain("smartstack", "For each namespace.")
    yield from _plain("monitoring")
    yield from _plain("deploy", leave_out=r"pipeline\[\]\.(?!parallel$)", after="### Steps")
    yield table(rows_of(keys.STEP))
    yield from _plain("dependencies", "For each name that `dependencies_reference` may give, a list.")
    yield from _plain("authorization")
    yield from _plain("authenticating")
    yield from _plain("tron", "For each job.", after="### Actions")
    yield table(rows_of(keys.ACTION))
    yield from _plain("tron-master", "Keys that are not here are handed on to Tron.")
    yield from _plain("rollback")
    yield "\n## Custom resources\n" + CUSTOM + "\n"
    yield _merged({name: custom.struct for name, custom in keys.CUSTOM_TYPES.items()})
    yield AUTOTUNED
    yield _merged(keys.AUTOTUNED)
    yield from _plain(
        "secret", "One secret. Where the ciphertext comes from: Vault's transit engine, or Ansible Vault."
    )
    yield from _plain("deployments")


def _plain(name: str, text: str = "", leave_out: str = "", after: str = "") -> Iterator[str]:
    """A section of one document, the entries of which have no prefix; ``leave_out`` is a pattern of paths."""
    kind = keys.DOCUMENTS[name]
    yield f"\n## `{kind.path.removeprefix('<service>/')}`\n\n"
    yield f"{text}\n\n" if text else ""
    shape = kind.shape
    while isinstance(shape, (MapOf, ListOf)):
        shape = shape.value if isinstance(shape, MapOf) else shape.item
    yield table(row for row in rows_of(shape) if not leave_out or not re.match(leave_out, row[0]))
    yield f"\n{after}\n\n" if after else ""


def _merged(structs: dict[str, Struct]) -> str:
    """One table of several types; a key that is the same for some of them is one row."""
    rows: list[Row] = []
    applies: dict[int, set[str]] = {}
    seen: dict[tuple[str, str], Key] = {}
    for name, struct in structs.items():
        for path, key, top in rows_of(struct):
            if (path, text_of(key)) not in seen:
                seen[path, text_of(key)] = key
                rows.append((path, key, top))
            applies.setdefault(id(seen[path, text_of(key)]), set()).add(name)
    everywhere = frozenset(structs)
    return table(rows, applies=lambda key: _types(frozenset(applies[id(key)]), everywhere))


def _types(applies: frozenset[str] | None, everywhere: frozenset[str]) -> str:
    """The types a key is of; empty for what is inside another key."""
    return "" if applies is None else "all" if applies == everywhere else ", ".join(sorted(applies))


def rows_of(shape: Shape, path: str = "", top: bool = True) -> Iterator[Row]:
    """As keys.walk, but for what has a table of its own."""
    if isinstance(shape, Struct):
        for key in shape.keys:
            below = f"{path}.{key.name}" if path else key.name
            yield below, key, top
            if id(key.shape) not in ELSEWHERE:
                yield from rows_of(key.shape, below, False)
        return
    if isinstance(shape, ListOf):
        inside = [(shape.item, f"{path}[]")]
    elif isinstance(shape, MapOf):
        inside = [(shape.value, f"{path}.<name>")]
    else:
        inside = [(choice, path) for choice in shape.shapes] if isinstance(shape, OneOf) else []
    for below_shape, below in inside:
        if id(below_shape) not in ELSEWHERE:
            yield from rows_of(below_shape, below, top)


def text_of(key: Key) -> str:
    return f"{key.shape.describe()} {key.default} {key.doc}"


def table(rows: Iterable[Row], restarts: bool = False, applies: Callable[[Key], str] | None = None) -> str:
    columns = ["key", "type and bounds", "default", "unit", *(["applies to"] if applies else [])]
    columns += [*(["restarts"] if restarts else []), "meaning"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for path, key, top in rows:
        cells = [f"`{path}`", _cell(kind_of(key.shape)), default_of(key), key.unit]
        cells += [applies(key)] if applies else []
        cells += [("yes" if key.restarts else "no") if top else ""] if restarts else []
        cells.append(_cell(key.doc) + ("; without effect" if key.legacy else ""))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text that neither ends a cell nor is taken for HTML."""
    return text.replace("|", r"\|").replace("<", "&lt;")


def kind_of(shape: Shape) -> str:
    """What a value may be; of what is described elsewhere, where."""
    if id(shape) in ELSEWHERE:
        return ELSEWHERE[id(shape)]
    return shape.describe()


def default_of(key: Key) -> str:
    if key.required:
        return "*required*"
    if key.default is UNSET:
        return ""
    if key.default in ("", [], {}):
        return "empty"
    return f"`{_json(key.default)}`"


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def out_of_date() -> list[str]:
    """The generated files that are not as they would be written, and those that nothing generates any more."""
    wanted = generate()
    wrong = [name for name, text in wanted.items() if not (ROOT / name).exists() or (ROOT / name).read_text() != text]
    left = [f"{SCHEMAS}/{path.name}" for path in (ROOT / SCHEMAS).glob("*.json")]
    return sorted({*wrong, *(name for name in left if name not in wanted)})


def write() -> None:
    wanted = generate()
    for name in out_of_date():
        path = ROOT / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[name])
        else:
            path.unlink()
        print(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, tell what is out of date")
    if not parser.parse_args().check:
        write()
        return 0
    names = out_of_date()
    for name in names:
        print(f"{name} is out of date: run make docs", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
