"""What each operation of GitHub's API does to its state."""

from typing import Any

from githubapi.hub import ACTIONS, PLAN, UPGRADE, Answer, Hub, R, Refusal, Repository, deed

E = f"{R}/environments/{{environment_name}}"
POLICIES = f"{E}/deployment-branch-policies"
Parts = dict[str, str]


def account(hub: Hub, login: str) -> dict[str, Any]:
    """A person or an organisation."""
    if login not in hub.accounts:
        raise Refusal(404, "Not Found")
    number, kind = hub.accounts[login]
    return {"login": login, "id": number, "type": kind}


@deed("GET /user")
def user(hub: Hub, parts: Parts, body: Any) -> Answer:
    return 200, account(hub, hub.user)


@deed("GET /users/{username}")
def somebody(hub: Hub, parts: Parts, body: Any) -> Answer:
    return 200, account(hub, parts["username"])


@deed("GET /orgs/{org}/teams/{team_slug}")
def team(hub: Hub, parts: Parts, body: Any) -> Answer:
    name = f"{parts['org']}/{parts['team_slug']}"
    if name not in hub.teams:
        raise Refusal(404, "Not Found")
    return 200, {"id": hub.teams[name], "slug": parts["team_slug"]}


@deed("GET /apps/{app_slug}")
def app(hub: Hub, parts: Parts, body: Any) -> Answer:
    if parts["app_slug"] != "github-actions":
        raise Refusal(404, "Not Found")
    return 200, {"id": ACTIONS, "slug": "github-actions"}


@deed("GET /app")
def own_app(hub: Hub, parts: Parts, body: Any) -> Answer:
    assert hub.app is not None
    return 200, {"id": hub.app.id, "slug": "churn-acme", "html_url": "https://github.com/apps/churn-acme"}


@deed(f"GET {R}/installation")
def installation(hub: Hub, parts: Parts, body: Any) -> Answer:
    found = hub.app.installations.get(f"{parts['owner']}/{parts['repo']}") if hub.app else None
    if found is None:
        raise Refusal(404, "Not Found")
    return 200, {"app_id": hub.app.id if hub.app else 0, **found}


@deed("POST /app-manifests/{code}/conversions")
def conversion(hub: Hub, parts: Parts, body: Any) -> Answer:
    if parts["code"] not in hub.codes:
        raise Refusal(404, "Not Found")
    return 201, hub.codes.pop(parts["code"])  # a code is good for once


def shown(repository: Repository, hub: Hub) -> dict[str, Any]:
    """A repository as GitHub shows it."""
    return {
        "id": repository.id,
        "name": repository.name,
        "full_name": f"{repository.owner}/{repository.name}",
        "private": repository.private,
        "html_url": f"https://github.com/{repository.owner}/{repository.name}",
        "clone_url": f"file://{repository.folder}",
        "default_branch": repository.default_branch,
        "description": repository.description,
        "owner": {"login": repository.owner, "id": hub.accounts[repository.owner][0]},
    }


@deed("POST /orgs/{org}/repos")
def create_for_organisation(hub: Hub, parts: Parts, body: Any) -> Answer:
    return 201, shown(hub.create(parts["org"], body["name"], body.get("private", False), body.get("description")), hub)


@deed("POST /user/repos")
def create_for_user(hub: Hub, parts: Parts, body: Any) -> Answer:
    return 201, shown(hub.create(hub.user, body["name"], body.get("private", False), body.get("description")), hub)


@deed(f"GET {R}")
def repository(hub: Hub, parts: Parts, body: Any) -> Answer:
    return 200, shown(hub.repository(parts), hub)


@deed(f"PATCH {R}")
def change(hub: Hub, parts: Parts, body: Any) -> Answer:
    found = hub.repository(parts)
    if "default_branch" in body and body["default_branch"] not in found.heads():
        raise Refusal(422, "The branch does not exist")
    found.default_branch = body.get("default_branch", found.default_branch)
    return 200, shown(found, hub)


@deed(f"DELETE {R}")
def delete(hub: Hub, parts: Parts, body: Any) -> Answer:
    hub.repository(parts)
    del hub.repositories[f"{parts['owner']}/{parts['repo']}".lower()]
    return 204, None


@deed(f"GET {R}/git/ref/{{ref}}")
def reference(hub: Hub, parts: Parts, body: Any) -> Answer:
    heads = hub.repository(parts).heads()
    if not heads:
        raise Refusal(409, "Git Repository is empty.")
    name = parts["ref"].removeprefix("heads/")
    if name not in heads:
        raise Refusal(404, "Not Found")
    return 200, {"ref": f"refs/heads/{name}", "object": {"sha": heads[name]}}


@deed(f"GET {R}/actions/variables/{{name}}")
def variable(hub: Hub, parts: Parts, body: Any) -> Answer:
    value = held(hub.repository(parts).variables, parts["name"])
    return 200, {"name": parts["name"], "value": value}


@deed(f"POST {R}/actions/variables")
def create_variable(hub: Hub, parts: Parts, body: Any) -> Answer:
    variables = hub.repository(parts).variables
    if body["name"] in variables:
        raise Refusal(409, "Already exists - Variable already exists")
    variables[body["name"]] = body["value"]
    return 201, {}


@deed(f"PATCH {R}/actions/variables/{{name}}")
def change_variable(hub: Hub, parts: Parts, body: Any) -> Answer:
    variables = hub.repository(parts).variables
    held(variables, parts["name"])
    variables[parts["name"]] = body["value"]
    return 204, None


@deed(f"DELETE {R}/actions/variables/{{name}}")
def delete_variable(hub: Hub, parts: Parts, body: Any) -> Answer:
    variables = hub.repository(parts).variables
    held(variables, parts["name"])
    del variables[parts["name"]]
    return 204, None


@deed(f"GET {R}/actions/permissions/workflow")
def token(hub: Hub, parts: Parts, body: Any) -> Answer:
    found = hub.repository(parts)
    return 200, {"default_workflow_permissions": found.token, "can_approve_pull_request_reviews": found.opens}


@deed(f"PUT {R}/actions/permissions/workflow")
def change_token(hub: Hub, parts: Parts, body: Any) -> Answer:
    hub.repository(parts).token = body["default_workflow_permissions"]
    return 204, None


@deed(f"GET {R}/actions/oidc/customization/sub")
def subject(hub: Hub, parts: Parts, body: Any) -> Answer:
    found = hub.repository(parts)
    owner = hub.accounts[found.owner][0]
    numbered, named = f"{found.owner}@{owner}/{found.name}@{found.id}", f"{found.owner}/{found.name}"
    prefix = f"repo:{numbered if found.immutable else named}"
    return 200, {"use_default": True, "use_immutable_subject": found.immutable, "sub_claim_prefix": prefix}


@deed(f"PUT {R}/actions/oidc/customization/sub")
def change_subject(hub: Hub, parts: Parts, body: Any) -> Answer:
    hub.repository(parts).immutable = body.get("use_immutable_subject", False)
    return 201, {}


def held(things: dict[Any, Any], name: Any) -> Any:
    """A thing of a name, or GitHub's word that there is none."""
    if name not in things:
        raise Refusal(404, "Not Found")
    return things[name]


@deed(f"GET {E}")
def environment(hub: Hub, parts: Parts, body: Any) -> Answer:
    return 200, held(hub.repository(parts).environments, parts["environment_name"])


@deed(f"PUT {E}")
def put_environment(hub: Hub, parts: Parts, body: Any) -> Answer:
    found, body, name = hub.repository(parts), body or {}, parts["environment_name"]
    given = body.get("reviewers") or []
    if found.private and hub.plan == "free":
        raise Refusal(404, "Not Found")
    of_enterprise = {"reviewers", "wait_timer", "prevent_self_review"} & set(body)
    if found.private and of_enterprise and hub.plan != "enterprise":
        # Also when they are null, 0 or false.
        raise Refusal(422, "Failed to create the environment protection rule. " + PLAN.format("required reviewers"))
    rules: list[dict[str, Any]] = []
    if taken := [each for each in given if each["id"] in hub.readers]:
        rules.append({
            "id": 1,
            "type": "required_reviewers",
            "prevent_self_review": body.get("prevent_self_review", False),
            "reviewers": [{"type": each["type"], "reviewer": reviewer(hub, each["id"])} for each in taken],
        })  # fmt: skip
    if body.get("wait_timer"):
        rules.append({"id": 2, "type": "wait_timer", "wait_timer": body["wait_timer"]})
    policy = body.get("deployment_branch_policy")
    found.environments[name] = {"name": name, "protection_rules": rules, "deployment_branch_policy": policy}
    found.policies.setdefault(name, {})
    if policy is None:
        found.policies[name] = {}
    return 200, found.environments[name]


def reviewer(hub: Hub, number: int) -> dict[str, Any]:
    """A reviewer as GitHub shows one: a person has a login, a team a slug."""
    for login, (each, kind) in hub.accounts.items():
        if each == number:
            return {"id": number, "login": login, "type": kind}
    slug = next(name.partition("/")[2] for name, each in hub.teams.items() if each == number)
    return {"id": number, "slug": slug, "name": slug, "description": None, "permission": "pull", "type": "organization"}


@deed(f"DELETE {E}")
def delete_environment(hub: Hub, parts: Parts, body: Any) -> Answer:
    found = hub.repository(parts)
    held(found.environments, parts["environment_name"])
    del found.environments[parts["environment_name"]], found.policies[parts["environment_name"]]
    return 204, None


@deed(f"GET {POLICIES}")
def policies(hub: Hub, parts: Parts, body: Any) -> Answer:
    found = held(hub.repository(parts).policies, parts["environment_name"])
    entries = [{"id": number, "name": name, "type": "branch"} for name, number in found.items()]
    return 200, {"total_count": len(entries), "branch_policies": entries}


@deed(f"POST {POLICIES}")
def create_policy(hub: Hub, parts: Parts, body: Any) -> Answer:
    found = hub.repository(parts)
    if not held(found.environments, parts["environment_name"])["deployment_branch_policy"]:
        raise Refusal(404, "Not Found")
    number = found.policies[parts["environment_name"]].setdefault(body["name"], hub.number())
    return 200, {"id": number, "name": body["name"], "type": body.get("type", "branch")}


@deed(f"DELETE {POLICIES}/{{branch_policy_id}}")
def delete_policy(hub: Hub, parts: Parts, body: Any) -> Answer:
    found = held(hub.repository(parts).policies, parts["environment_name"])
    for name in [name for name, number in found.items() if number == int(parts["branch_policy_id"])]:
        del found[name]
    return 204, None


def ruled(hub: Hub, parts: Parts) -> Repository:
    """The repository, when its plan has rulesets."""
    found = hub.repository(parts)
    if found.private and hub.plan == "free":
        raise Refusal(403, UPGRADE)
    return found


@deed(f"GET {R}/rulesets")
def rulesets(hub: Hub, parts: Parts, body: Any) -> Answer:
    wanted = ("id", "name", "source_type", "enforcement")
    return 200, [{name: each[name] for name in wanted} for each in ruled(hub, parts).rulesets.values()]


@deed(f"POST {R}/rulesets")
def create_ruleset(hub: Hub, parts: Parts, body: Any) -> Answer:
    found = ruled(hub, parts)
    if any(each["name"] == body["name"] for each in found.rulesets.values()):
        raise Refusal(422, "Name must be unique")
    number = hub.number()
    return 201, stored(found, number, body)


def stored(found: Repository, number: int, body: Any) -> dict[str, Any]:
    """Keep a ruleset and show it."""
    ruleset = {"source_type": "Repository", "bypass_actors": [], **found.rulesets.get(number, {}), **body, "id": number}
    ruleset.pop("target", None)
    found.rulesets[number] = ruleset
    return ruleset


@deed(f"GET {R}/rulesets/{{ruleset_id}}")
def ruleset(hub: Hub, parts: Parts, body: Any) -> Answer:
    return 200, held(ruled(hub, parts).rulesets, int(parts["ruleset_id"]))


@deed(f"PUT {R}/rulesets/{{ruleset_id}}")
def change_ruleset(hub: Hub, parts: Parts, body: Any) -> Answer:
    found = ruled(hub, parts)
    held(found.rulesets, int(parts["ruleset_id"]))
    return 200, stored(found, int(parts["ruleset_id"]), body)


@deed(f"DELETE {R}/rulesets/{{ruleset_id}}")
def delete_ruleset(hub: Hub, parts: Parts, body: Any) -> Answer:
    found = ruled(hub, parts)
    held(found.rulesets, int(parts["ruleset_id"]))
    del found.rulesets[int(parts["ruleset_id"])]
    return 204, None


@deed(f"GET {R}/releases/latest")
def release(hub: Hub, parts: Parts, body: Any) -> Answer:
    return 200, {"tag_name": held(hub.releases, f"{parts['owner']}/{parts['repo']}")[0]}


@deed(f"GET {R}/commits/{{ref}}")
def commit(hub: Hub, parts: Parts, body: Any) -> Answer:
    tag, sha = held(hub.releases, f"{parts['owner']}/{parts['repo']}")
    if parts["ref"] != tag:
        raise Refusal(422, f"No commit found for SHA: {parts['ref']}")
    return 200, {"sha": sha}
