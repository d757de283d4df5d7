"""The generated CRDs keep the house rules of the API, field by field."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_rollback.api import crd

ROOT = Path(__file__).resolve().parents[3]

BOOLEANS = {
    "Rollback.status.steps[].wasReady": "what was seen before the write; there is no third answer to grow into",
}
"""Every boolean of the API, with the reason why it is no enum."""


def schema_of(kind: crd.Kind) -> dict[str, Any]:
    version = crd.custom_resource_definition(kind)["spec"]["versions"][0]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node below the schema by its path; `[]` is an item of a list, `{}` a value of a map."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


NODES = [entry for kind in crd.KINDS for entry in nodes(schema_of(kind), kind.info.kind)]
FIELDS = [(path, node) for path, node in NODES if not path.endswith(("[]", "{}"))]


def test_every_field_has_a_description() -> None:
    assert [path for path, node in FIELDS if not node.get("description", "").strip()] == []


def test_every_field_of_a_spec_shows_an_example() -> None:
    spec = [(p, n) for p, n in FIELDS if ".spec." in p]
    assert len(spec) > 50
    assert [path for path, node in spec if "`" not in node["description"]] == []


def test_every_list_string_and_map_is_bounded() -> None:
    unbounded = [
        path
        for path, node in NODES
        if (node["type"] == "array" and "maxItems" not in node)
        or ("additionalProperties" in node and "maxProperties" not in node)
        or (
            node["type"] == "string"
            and not {"maxLength", "enum"} & node.keys()
            and node.get("format") != "date-time"
        )
    ]
    assert unbounded == []


def test_every_list_says_how_it_is_merged() -> None:
    lists = [(path, node) for path, node in NODES if node["type"] == "array"]
    assert [p for p, n in lists if n.get("x-kubernetes-list-type") not in ("map", "atomic", "set")] == []
    for path, node in lists:
        for key in node.get("x-kubernetes-list-map-keys", ()):
            assert key in node["items"]["required"], f"{path}: the key {key} may be missing"


def test_what_a_rollback_is_about_is_immutable_and_what_people_want_of_it_is_not() -> None:
    spec = dict(NODES)["Rollback.spec"]
    said = " is immutable"
    immutable = {
        rule["message"].removesuffix(said)
        for rule in spec["x-kubernetes-validations"]
        if rule["message"].endswith(said)
    }
    assert spec["properties"].keys() - immutable == {"intent", "intentAt", "onAbort", "review"}


def test_there_is_no_float_and_no_boolean_without_a_reason() -> None:
    assert [path for path, node in NODES if node["type"] == "number"] == []
    assert {path for path, node in NODES if node["type"] == "boolean"} == set(BOOLEANS)


def test_the_schema_is_structural() -> None:
    foreign = {
        "$ref",
        "title",
        "examples",
        "anyOf",
        "oneOf",
        "allOf",
        "const",
        "nullable",
        "patternProperties",
    }
    assert [path for path, node in NODES if foreign & node.keys() or "type" not in node] == []
    free = [path for path, node in NODES if "x-kubernetes-preserve-unknown-fields" in node]
    assert {path.rpartition("[].")[2] for path in free} == {"job.template"}


def test_a_status_has_no_defaults() -> None:
    assert [path for path, node in NODES if path.split(".")[1:2] == ["status"] and "default" in node] == []


def test_descriptions_name_every_word_of_a_long_enumeration() -> None:
    """`kubectl explain` shows four words and dots."""
    silent = [
        path
        for path, node in NODES
        if len(node.get("enum", ())) > 4
        and not all(f"`{word}`" in node.get("description", "") for word in node["enum"] if word)
    ]
    assert silent == []


@pytest.mark.parametrize("kind", crd.KINDS, ids=lambda k: k.info.kind)
def test_columns_point_at_fields_that_exist(kind: crd.Kind) -> None:
    paths = {path for path, _ in NODES}
    for column in kind.info.columns:
        if not column.json_path.startswith(".metadata"):
            plain = re.sub(r"\[\?[^]]*\]", "[]", column.json_path)
            assert f"{kind.info.kind}{plain}" in paths


def test_the_files_of_the_checkout_are_what_the_models_say() -> None:
    assert crd.differences(ROOT) == []


def test_check_shows_what_differs_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crd.main(["--root", str(tmp_path)]) == 0
    assert crd.main(["--check", "--root", str(tmp_path)]) == 0
    edited = tmp_path / "crds/modelrollback.dev_rollbacks.yaml"
    text = edited.read_text().replace("- rbk", "- rb")
    edited.write_text(text)
    capsys.readouterr()

    assert crd.main(["--check", "--root", str(tmp_path)]) == 1

    said = capsys.readouterr()
    assert "crds/modelrollback.dev_rollbacks.yaml" in said.out
    assert "+      - rbk" in said.out or "+    - rbk" in said.out
    assert "python -m model_rollback.api.crd" in said.err
    assert edited.read_text() == text


def test_both_folders_hold_one_file_per_kind(tmp_path: Path) -> None:
    crd.main(["--root", str(tmp_path)])
    first, second = ({f.name: f.read_text() for f in (tmp_path / folder).iterdir()} for folder in crd.FOLDERS)
    assert first == second
    assert {yaml.safe_load(text)["spec"]["names"]["kind"] for text in first.values()} == {
        "ModelDeployment",
        "RollbackPolicy",
        "Rollback",
    }
