"""Take on a role by the job's OIDC token and export its keys to the steps that follow."""

import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from xml.etree import ElementTree


def token(audience: str) -> str:
    url = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    if not url:
        sys.exit("::error::Credentials could not be loaded: Could not load credentials from any providers"
                 " (the job has no permission `id-token: write`)")  # fmt: skip
    bearer = {"authorization": f"bearer {os.environ['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    query = urllib.parse.urlencode({"audience": audience})
    with urllib.request.urlopen(urllib.request.Request(f"{url}&{query}", headers=bearer)) as answer:
        return str(json.load(answer)["value"])


def assume(role: str) -> dict[str, str]:
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": role,
        "RoleSessionName": os.environ["INPUT_SESSION"],
        "DurationSeconds": os.environ["INPUT_SECONDS"],
        "WebIdentityToken": token(os.environ["INPUT_AUDIENCE"]),
    }
    try:
        endpoint = os.environ["AWS_ENDPOINT_URL"]
        with urllib.request.urlopen(f"{endpoint}/", urllib.parse.urlencode(form).encode()) as answer:
            tree = ElementTree.fromstring(answer.read())
    except urllib.error.HTTPError as refusal:
        said = " ".join(re.sub("<[^>]+>", " ", refusal.read().decode()).split())
        sys.exit(f"::error::Could not assume role with OIDC: {said}")
    return {element.tag.rpartition("}")[2]: str(element.text) for element in tree.iter()}


def main() -> None:
    env = os.environ
    role = re.fullmatch(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/.+", env["INPUT_ROLE"])
    if not role or not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9]", env["INPUT_REGION"]):
        sys.exit(f"::error::role-to-assume is {env['INPUT_ROLE']!r}, aws-region is {env['INPUT_REGION']!r}")
    accounts = [account.strip() for account in env["INPUT_ACCOUNTS"].split(",") if account.strip()]
    if accounts and role[1] not in accounts:
        sys.exit(f"::error::The account ID of the provided credentials ({role[1]}) does not match any of {accounts}")
    keys = assume(role[0])
    variables = {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
        "AWS_REGION": env["INPUT_REGION"],
        "AWS_DEFAULT_REGION": env["INPUT_REGION"],
    }
    with Path(env["GITHUB_ENV"]).open("a", encoding="utf-8") as exported:
        exported.writelines(f"{name}={value}\n" for name, value in variables.items())
    with Path(env["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"aws-account-id={role[1]}\n")
    print(f"acting as {keys['Arn']}")


main()
