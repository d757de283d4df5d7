"""pydantic models → structural OpenAPI v3, the dialect of JSON schema that a CustomResourceDefinition takes.

Structural means: every node has a type, no `$ref`, nothing that only a full JSON schema validator understands.
What the dialect cannot say (patterns of map keys, rules over several fields) goes to the API server as CEL.
"""

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from model_rollback.api.types import CelRule, rule

Schema = dict[str, Any]

_REFERENCE: Final = "#/$defs/"
_VALIDATIONS: Final = "x-kubernetes-validations"
_KEPT: Final = (
    "type",
    "format",
    "enum",
    "default",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-preserve-unknown-fields",
)


class _ModelSchema(GenerateJsonSchema):
    """pydantic's schema with each model's CEL rules and its static defaults as they stand on the wire."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        json_schema = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        rules = getattr(model, "cel_rules", ())
        if rules:
            json_schema[_VALIDATIONS] = list(rules)
        defaults = static_defaults(model)
        for name, field in json_schema.get("properties", {}).items():
            field.pop("default", None)
            if name in defaults:
                field["default"] = defaults[name]
        return json_schema


def static_defaults(model: type[BaseModel]) -> dict[str, Any]:
    """The defaults that the API server writes into an object of this model, by wire name.

    None and empty lists, maps and strings mean the same as absence and are left out. A part whose own fields all
    have defaults is written in full: the API server holds a default against the part's CEL rules as it stands.
    """
    written = model.model_construct().model_dump(mode="json", by_alias=True, exclude_none=True)
    return _without_empty(written)


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    parts = {name: _without_empty(v) if isinstance(v, dict) else v for name, v in values.items()}
    return {name: v for name, v in parts.items() if v not in ("", [], {})}


def structural_schema(model: type[BaseModel], *, status: bool = False) -> Schema:
    """The schema of one part of an object.

    A status gets neither defaults nor rules: the API server would write a status nobody observed, and rules that
    held for the spec it was copied from need no second look.
    """
    json_schema = model.model_json_schema(schema_generator=_ModelSchema)
    return _Conversion(json_schema.pop("$defs", {}), status=status).node(json_schema)


class _Conversion:
    def __init__(self, definitions: dict[str, Schema], *, status: bool) -> None:
        self._definitions = definitions
        self._status = status

    def node(self, source: Schema) -> Schema:
        """One node and everything below it."""
        source = self._flat(source)
        out: Schema = {"description": source["description"]} if "description" in source else {}
        out |= {key: source[key] for key in _KEPT if key in source}
        rules: list[CelRule] = list(source.get(_VALIDATIONS, ()))
        if source.get("type") == "integer" and "maximum" not in source:
            out["format"] = "int64"
        if source.get(
            "properties"
        ):  # the API server does not store an empty map, and equal CRDs would conflict
            out["properties"] = {name: self.node(field) for name, field in source["properties"].items()}
        elif source.get("type") == "object":
            values, key_rules = self._map(source)
            out |= values
            rules += key_rules
        if "items" in source:
            out["items"] = self.node(source["items"])
        if self._status:
            out.pop("default", None)
        elif rules:
            out[_VALIDATIONS] = rules
        if "description" in out:
            out["description"] = _explained(out)
        return out

    def _flat(self, source: Schema) -> Schema:
        """Without `$ref`, `anyOf` and `const`: their content merged into the node that mentions them."""
        source = dict(source)
        if "anyOf" in source:
            present = self._one_of(source.pop("anyOf"))
            source = {**present, **source, **_descriptions(source, present)}
        if "$ref" in source:
            target = self._definitions[source.pop("$ref").removeprefix(_REFERENCE)]
            source = {**target, **source, **_descriptions(source, target)}
        if "const" in source:
            source["enum"] = [source.pop("const")]
        return source

    def _one_of(self, variants: list[Schema]) -> Schema:
        """`X | None` is X, for an absent field is None; several enums are one."""
        present = [self._flat(v) for v in variants if v.get("type") != "null"]
        if len(present) == 1:
            return present[0]
        if all("enum" in v for v in present):
            return {**present[0], "enum": [word for v in present for word in v["enum"]]}
        raise TypeError(f"a structural schema has no union of {present}")

    def _map(self, source: Schema) -> tuple[Schema, list[CelRule]]:
        """A map from strings: the schema of its values, and the schema of its keys as CEL."""
        keys = dict(source.get("propertyNames", {}))
        values = source.get("additionalProperties")
        for pattern, schema in source.get("patternProperties", {}).items():
            keys["pattern"], values = pattern, schema
        if not isinstance(values, dict):
            return {}, []
        rules = []
        if "pattern" in keys:
            rules.append(
                rule(
                    f"self.all(key, key.matches('{keys['pattern']}'))",
                    f"every key must match {keys['pattern']}",
                )
            )
        if "maxLength" in keys:
            rules.append(
                rule(
                    f"self.all(key, key.size() <= {keys['maxLength']})",
                    f"a key has at most {keys['maxLength']} characters",
                )
            )
        return {"additionalProperties": self.node(values)}, rules


def _descriptions(field: Schema, model: Schema) -> Schema:
    """What the field is for, then what the thing is; once when one says what the other says."""
    texts = [s["description"] for s in (field, model) if "description" in s]
    told = [t for t in dict.fromkeys(texts) if not any(t[:-1] in other for other in texts if other != t)]
    return {"description": " ".join(told)} if told else {}


def _explained(node: Schema) -> str:
    """The description with what `kubectl explain` leaves out: long enumerations and defaults."""
    text: str = node["description"]
    words = [f"`{word}`" for word in node.get("enum", ()) if word]
    if len(words) > 1 and not all(word in text for word in words):
        text += f" One of {', '.join(words)}."
    if isinstance(node.get("default"), str | int):
        text += f" Default: `{node['default']}`."
    return text
