"""Reduces GitHub's description of its REST API to the operations that the bootstrap uses.

    npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
    python reduce.py package/generated/api.github.com.json

It keeps facts and no sentences: paths, methods, statuses, types, limits and names. Of a request all that GitHub takes
is kept, and closed, since GitHub itself ignores what it does not know; of an answer only what the bootstrap reads. Of
the kinds of rules only those that it makes are kept.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

R = "/repos/{owner}/{repo}"
E = f"{R}/environments/{{environment_name}}"
POLICIES = f"{E}/deployment-branch-policies"
REPOSITORY = [
    "id", "name", "full_name", "private", "html_url", "clone_url", "default_branch", "description", "owner.login",
    "owner.id",
]  # fmt: skip
RULESET = ["id", "name", "source_type", "enforcement", "conditions", "rules", "bypass_actors"]
ENVIRONMENT = ["name", "protection_rules", "deployment_branch_policy"]

OPERATIONS: dict[str, list[str]] = {
    "GET /user": ["login", "id", "type"],
    "GET /users/{username}": ["login", "id", "type"],
    "GET /orgs/{org}/teams/{team_slug}": ["id", "slug"],
    "GET /app": ["id", "slug", "html_url"],
    "GET /apps/{app_slug}": ["id", "slug"],
    "POST /app-manifests/{code}/conversions": ["id", "slug", "pem", "html_url", "owner.login"],
    "POST /orgs/{org}/repos": REPOSITORY,
    "POST /user/repos": REPOSITORY,
    f"GET {R}": REPOSITORY,
    f"PATCH {R}": REPOSITORY,
    f"DELETE {R}": [],
    f"GET {R}/installation": ["app_id", "permissions.actions", "repository_selection", "suspended_at"],
    f"GET {R}/git/ref/{{ref}}": ["ref", "object.sha"],
    f"GET {R}/actions/variables/{{name}}": ["name", "value"],
    f"POST {R}/actions/variables": [],
    f"PATCH {R}/actions/variables/{{name}}": [],
    f"DELETE {R}/actions/variables/{{name}}": [],
    f"GET {R}/actions/permissions/workflow": ["default_workflow_permissions", "can_approve_pull_request_reviews"],
    f"PUT {R}/actions/permissions/workflow": [],
    f"GET {R}/actions/oidc/customization/sub": ["use_default", "use_immutable_subject", "sub_claim_prefix"],
    f"PUT {R}/actions/oidc/customization/sub": [],
    f"GET {E}": ENVIRONMENT,
    f"PUT {E}": ENVIRONMENT,
    f"DELETE {E}": [],
    f"GET {POLICIES}": ["total_count", "branch_policies"],
    f"POST {POLICIES}": ["id", "name", "type"],
    f"DELETE {POLICIES}/{{branch_policy_id}}": [],
    f"GET {R}/rulesets": ["id", "name", "source_type", "enforcement"],
    f"POST {R}/rulesets": RULESET,
    f"GET {R}/rulesets/{{ruleset_id}}": RULESET,
    f"PUT {R}/rulesets/{{ruleset_id}}": RULESET,
    f"DELETE {R}/rulesets/{{ruleset_id}}": [],
    f"GET {R}/releases/latest": ["tag_name"],
    f"GET {R}/commits/{{ref}}": ["sha"],
}
"""Each operation, with the fields of its answer that the bootstrap reads; of a listing, those of its entries."""

FACTS = {
    "type", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "required",
}  # fmt: skip


RULES = {"deletion", "non_fast_forward", "pull_request", "required_status_checks", "required_linear_history"}
"""The kinds of rules that are kept, of the thirty that GitHub knows; the last for a rule that a person adds."""

UNREAD = re.compile(
    r"^(?!html_url$|clone_url$)(.*_)?url$|^node_id$|(?<!suspended)_at$|^_links$|^parent$|^ldap_dn$|^gravatar_id$|^site_admin$"
)
"""What nobody reads in an answer."""


def resolved(node: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to."""
    while "$ref" in node:
        target: Any = whole
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def facts(node: dict[str, Any], whole: dict[str, Any], closed: bool) -> dict[str, Any]:
    """A schema without its sentences and references.

    Args:
        node: a schema as OpenAPI 3.0 has it.
        whole: the description that it is part of.
        closed: whether properties that it does not name are refused.
    """
    node = resolved(node, whole)
    kept = {key: value for key, value in node.items() if key in FACTS}
    if "properties" in node:
        named = {name: each for name, each in node["properties"].items() if closed or not UNREAD.search(name)}
        kept["properties"] = {name: facts(each, whole, closed) for name, each in named.items()}
    if "required" in node:
        kept["required"] = sorted(set(node["required"]) & set(node.get("properties", {})) & set(kept["properties"]))
    if "items" in node:
        kept["items"] = facts(node["items"], whole, closed)
    for key in ("oneOf", "anyOf"):
        if key in node:
            parts = [facts(each, whole, closed) for each in node[key]]
            kept[key] = [each for each in parts if kind(each) in (None, *RULES)]
    if "allOf" in node:
        kept["allOf"] = [facts(each, whole, closed=False) for each in node["allOf"]]
    more = node.get("additionalProperties")
    if isinstance(more, dict) and more:
        kept["additionalProperties"] = facts(more, whole, closed)
    elif more is False or (closed and node.get("properties") and more is None):
        kept["additionalProperties"] = False
    if node.get("nullable"):
        kept = {"anyOf": [kept, {"type": "null"}]}
    return kept


def kind(schema: dict[str, Any]) -> str | None:
    """The kind of rule that a schema is of; None of anything else."""
    named = schema.get("properties", {}).get("type", {}).get("enum", [])
    return named[0] if len(named) == 1 else None


def field(schema: dict[str, Any], name: str) -> tuple[dict[str, Any], bool] | None:
    """The schema of a field and whether it is always there, in a schema or the parts that it is put together of."""
    if name in schema.get("properties", {}):
        return schema["properties"][name], name in schema.get("required", [])
    for part in [*schema.get("allOf", []), *schema.get("anyOf", []), *schema.get("oneOf", [])]:
        if found := field(part, name):
            return found
    return None


def chosen(schema: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """A schema of an answer with some of its fields and no others.

    Raises:
        KeyError: GitHub's answer has no such field.
    """
    if schema.get("type") == "array":
        return {"type": "array", "items": chosen(schema["items"], names)}
    properties: dict[str, Any] = {}
    required = []
    for name in dict.fromkeys(each.partition(".")[0] for each in names):
        below = [each.partition(".")[2] for each in names if each.startswith(f"{name}.")]
        found = field(schema, name)
        if found is None:
            raise KeyError(name)
        properties[name] = chosen(found[0], below) if below else found[0]
        required += [name] if found[1] else []
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def operation(name: str, whole: dict[str, Any]) -> dict[str, Any]:
    """What is kept of one operation."""
    method, path = name.split(" ")
    described = whole["paths"][path][method.lower()]
    kept: dict[str, Any] = {"statuses": [int(code) for code in described["responses"]]}
    if body := described.get("requestBody"):
        content = resolved(body, whole)["content"]["application/json"]
        kept["request"] = facts(content["schema"], whole, closed=True)
    if OPERATIONS[name]:
        answer = next(each for code, each in described["responses"].items() if code.startswith("2"))
        content = resolved(answer, whole)["content"]["application/json"]
        kept["answer"] = chosen(facts(content["schema"], whole, closed=False), OPERATIONS[name])
    return kept


def main(file: Path) -> None:
    """Write the reduced description beside this file, an operation a line."""
    whole = json.loads(file.read_text(encoding="utf-8"))
    lines = [f"{json.dumps(name)}: {json.dumps(operation(name, whole), sort_keys=True)}" for name in sorted(OPERATIONS)]
    source = "GitHub's description of its REST API (MIT), by @octokit/openapi " + whole["info"]["version"]
    text = f'{{"source": {json.dumps(source)},\n"operations": {{\n' + ",\n".join(lines) + "\n}}\n"
    (HERE / "description.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
