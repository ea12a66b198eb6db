"""The GitHub App by which AWS starts workflows: made on GitHub, its key kept in AWS and nowhere else."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import ClientError, ProfileNotFound

from mlops import aws, rest
from mlops.display import Progress
from mlops.errors import BadInput, Failure
from mlops.settings.project import FILE, Settings
from mlops.setup import identity, made, manifest, repository
from mlops.setup.health import Check
from mlops.setup.plan import Step
from mlops.setup.repository import Repository, quoted

COMMAND = "mlops bootstrap app"


class NoPlace(Failure):
    """An account has no secret for the App: nothing in it starts workflows."""


def secret_of(settings: Settings) -> str:
    """The secret that holds the App in each account, where the infrastructure's functions read it."""
    return f"{settings.project}-github-app"


def steps(settings: Settings, profiles: Sequence[str], told: Progress) -> list[Step]:
    """The plan: what `mlops bootstrap app` makes.

    Args:
        settings: the project.
        profiles: ACCOUNT=PROFILE, for accounts that the shell's credentials are not of.
        told: hears how far it is.

    Raises:
        BadInput: there is nothing in AWS yet, or an account has no credentials.
        Failure: an account has no place for the key.
    """
    if settings.aws == "sandbox":
        raise BadInput(f"{FILE}: aws is sandbox, where nothing starts workflows; write `aws: account` to work in AWS")
    place = repository.of(settings)
    if place.find("") is None:
        raise Failure(f"GitHub shows no repository {place.full_name}: mlops bootstrap github makes it")
    stores = {account: store(settings, account, session) for account, session in sessions(settings, profiles).items()}
    kept = {account: read(client, secret_of(settings)) for account, client in stores.items()}
    known = next((content for content in kept.values() if content), None)
    lacking = {account: stores[account] for account, content in kept.items() if content is None}
    where = f"secret {secret_of(settings)} of {' and '.join(stores)}"
    if not lacking:
        return [Step("GitHub App", "keep", f"number {known['app_id'] if known else ''}, in the {where}")]
    if known:
        # Its key can not be had from GitHub again; AWS has it.
        copy = partial(write, lacking, secret_of(settings), known)
        return [Step("GitHub App", "change", f"its key also in account {' and '.join(lacking)}", copy)]
    act = partial(make, settings, place, lacking, told)
    return [Step("GitHub App", "make", f"may start workflows of {place.full_name}; its key in the {where}", act)]


def sessions(settings: Settings, profiles: Sequence[str]) -> dict[str, boto3.Session]:
    """A session in each account of the project.

    Raises:
        BadInput: an account has none, or a profile is another account's.
    """
    given = {account: name for account, _, name in (pair.partition("=") for pair in profiles)}
    accounts = list(dict.fromkeys(environment.account for environment in settings.environments))
    for account, profile in given.items():
        if account not in accounts or not profile:
            raise BadInput(
                f"--profile is {account}={profile}; give ACCOUNT=PROFILE, of the accounts {' and '.join(accounts)}"
            )
    found = {}
    for account in accounts:
        name = given.get(account)
        session = of_profile(settings, name) if name else aws.opened(settings.region)
        if (actual := aws.account_of(session)) != account:
            whose = f"profile {name} is" if name else "these credentials are"
            raise BadInput(
                f"account {account} keeps the App's key too, and {whose} of {actual}: --profile {account}=NAME"
            )
        found[account] = session
    return found


def of_profile(settings: Settings, name: str) -> boto3.Session:
    """A session with the credentials of a profile of AWS's configuration.

    Raises:
        BadInput: there is none of that name.
    """
    try:
        return boto3.Session(profile_name=name, region_name=settings.region)
    except ProfileNotFound as error:
        raise BadInput(
            f"--profile: {' '.join(str(error).split())}; `aws configure list-profiles` lists them"
        ) from error


def store(settings: Settings, account: str, session: boto3.Session) -> Any:
    """The secrets of an account, one of which is the App's.

    Raises:
        NoPlace: it is not there.
        Failure: it can not be seen.
    """
    client = aws.client(session, "secretsmanager")
    try:
        client.describe_secret(SecretId=secret_of(settings))
    except ClientError as error:
        if aws.code_of(error) == "ResourceNotFoundException":
            raise NoPlace(
                f"account {account} has no secret {secret_of(settings)}: `mlops bootstrap aws` makes it, or, without "
                "infra/, its owner"
            ) from error
        raise Failure(f"DescribeSecret {secret_of(settings)} in {account}: {aws.reason(error)}") from error
    return client


def read(client: Any, name: str) -> dict[str, str] | None:
    """The App that a secret holds; None while it is empty, or holds something else."""
    try:
        content = json.loads(client.get_secret_value(SecretId=name)["SecretString"])
        return {"app_id": str(content["app_id"]), "private_key": str(content["private_key"])}
    except ClientError as error:
        if aws.code_of(error) == "ResourceNotFoundException":
            return None
        raise Failure(f"GetSecretValue {name}: {aws.reason(error)}") from error
    except (ValueError, KeyError, TypeError):
        return None


def write(stores: Mapping[str, Any], name: str, content: dict[str, str]) -> None:
    """Keep the App in some accounts."""
    for account, client in stores.items():
        with aws.explained("PutSecretValue", f"{name} in {account}"):
            client.put_secret_value(SecretId=name, SecretString=json.dumps(content))


def make(settings: Settings, place: Repository, stores: Mapping[str, Any], told: Progress) -> str:
    """Have a person make the App on GitHub, and keep its key."""
    owner = place.ask("GET", f"/users/{quoted(place.owner)}")
    pages: list[str] = []

    def receive(code: str) -> str:
        # Whoever has the code needs no other right; it is good for once.
        app = rest.request(place.api, "", "POST", f"/app-manifests/{quoted(code)}/conversions")
        write(stores, secret_of(settings), {"app_id": str(app["id"]), "private_key": app["pem"]})
        made.remember(place, made.things(place) | {f"{made.APP}{app['slug']}"})
        pages.append(f"{app['html_url']}/installations/new")
        return pages[0]

    name = f"{settings.project}-{place.owner}"
    manifest.offered(name, place, owner["type"] == "Organization", receive, told)
    return f"install it in {place.full_name}, and in no other repository: {pages[0]}"


def checks(settings: Settings) -> list[Check]:
    """What `mlops doctor` says of the App in the account of these credentials; nothing where nothing needs one."""
    if settings.aws == "sandbox":
        return []
    session = aws.opened(settings.region)
    try:
        account = aws.account_of(session)
        client = store(settings, account, session)
        found = read(client, secret_of(settings))
    except NoPlace:
        return []
    except Failure as error:
        return [Check("GitHub App", False, str(error), "give credentials that may read the secret")]
    if found is None:
        return [Check("GitHub App", False, f"secret {secret_of(settings)} is empty: AWS starts no workflow", COMMAND)]
    return [Check("GitHub App", True, f"number {found['app_id']}, in account {account}"), installed(settings, found)]


def installed(settings: Settings, app: dict[str, str]) -> Check:
    """Whether the App may start workflows of this repository: GitHub tells that to the App alone."""
    what = "installation of the GitHub App"
    anew = f"put {{}} into the secret {secret_of(settings)} of each account, then {COMMAND}"
    try:
        place = repository.reached(settings, lambda: identity.token(app["app_id"], app["private_key"]))
        page = place.ask("GET", "/app")["html_url"]
        found = place.find("installation")
    except rest.Refused as error:
        gone = error.status in (401, 404)
        return Check(what, False, str(error), f"the App or its key is no more: {anew}" if gone else "run it again")
    except BadInput as error:
        return Check(what, False, str(error), FILE)
    except Failure as error:
        return Check(what, False, str(error), anew)
    install = f"install it in {place.full_name}, and in no other repository: {page}/installations/new"
    if found is None:
        return Check(what, False, f"not in {place.full_name}: AWS starts no workflow", install)
    if found["suspended_at"]:
        return Check(what, False, f"suspended since {found['suspended_at']}", f"{page}, Configure, Unsuspend")
    if (given := found["permissions"].get("actions")) != "write":
        may = "on the App's own page, Permissions: Actions, Read and write; then accept that where it is installed"
        return Check(what, False, f"it may not start workflows: actions is {given or 'not given'}", may)
    everywhere = ", and in all others of its owner" if found["repository_selection"] == "all" else ""
    return Check(what, True, f"in {place.full_name}{everywhere}, with actions: write")
