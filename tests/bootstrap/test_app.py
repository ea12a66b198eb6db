"""`mlops bootstrap app`: a person makes the App in a browser, its key is kept in AWS, and nowhere else."""

import html
import json
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from githubapi.hub import App

from mlops.laptop import sandbox
from mlops.settings import project as settings
from mlops.setup import app, manifest

PROJECT = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
SECRET = "churn-github-app"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nnobody may see this\n-----END RSA PRIVATE KEY-----\n"
MADE = {
    "id": 77, "slug": "churn-acme", "pem": PEM, "html_url": "https://github.com/apps/churn-acme",
    "owner": {"login": "acme"},
}  # fmt: skip
ACCOUNTS = ("111111111111", "222222222222")


@pytest.fixture(scope="module")
def aws_url(committed, tmp_path_factory) -> Iterator[str]:
    """Two accounts in AWS."""
    folder = tmp_path_factory.mktemp("accounts")
    (folder / "mlops.yaml").write_text((committed / "mlops.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "sandbox").symlink_to(PROJECT / "sandbox")
    process = sandbox.start(settings.load(folder))
    running = sandbox.running(sandbox.folder(settings.load(folder)))
    assert running is not None
    yield running.url
    sandbox.stop(process)


@pytest.fixture
def secrets(aws_url, project, hub, tmp_path, monkeypatch):
    """The secrets of both accounts, with an empty one for the App in each, as the infrastructure makes them."""
    profile = tmp_path / "credentials"
    profile.write_text(f"[prod]\naws_access_key_id = sandbox-{ACCOUNTS[1]}\naws_secret_access_key = any\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"sandbox-{ACCOUNTS[0]}")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    file = project.root / "mlops.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "aws: account\n", encoding="utf-8")
    hub.create("acme", "churn")
    clients = {}
    for account in ACCOUNTS:
        keys = {"aws_access_key_id": f"sandbox-{account}", "aws_secret_access_key": "any"}
        clients[account] = boto3.client("secretsmanager", region_name="eu-west-1", endpoint_url=aws_url, **keys)
        clients[account].create_secret(Name=SECRET)
    yield clients
    for client in clients.values():
        client.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)


def held(client):
    """What a secret holds; None while it is empty."""
    try:
        return json.loads(client.get_secret_value(SecretId=SECRET)["SecretString"])
    except client.exceptions.ResourceNotFoundException:
        return None


class NoWayOn(urllib.request.HTTPRedirectHandler):
    """A browser that shows where it is sent instead of going there."""

    def redirect_request(self, *words):
        return None


def fetched(address, **headers):
    """A page: its status, where it leads, its text."""
    opener = urllib.request.build_opener(NoWayOn)
    try:
        answer = opener.open(urllib.request.Request(address, headers=headers), timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return SimpleNamespace(status=answer.status, onward=answer.headers["Location"], text=answer.read().decode())


@pytest.fixture
def person(mlops, capsys, monkeypatch):
    """Runs the command, and does in a browser what it asks for."""

    def run(browse, *words):
        shown, offered = threading.Event(), {}
        form = manifest.form

        def seen(action, content):
            offered.update(action=action, content=content)
            shown.set()
            return form(action, content)

        monkeypatch.setattr(manifest, "form", seen)
        with ThreadPoolExecutor(1) as pool:
            going = pool.submit(lambda: browse(offered) if shown.wait(60) else None)
            code = mlops("bootstrap", "app", "--profile", f"{ACCOUNTS[1]}=prod", "--yes", *words)
            shown.set()
            return code, going.result(), capsys.readouterr()

    return run


def base(offered):
    return offered["content"]["redirect_url"].removesuffix("/made")


def state_of(offered):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(offered["action"]).query))["state"]


def made_by_github(hub):
    """The way of a person who presses the button, and GitHub's button after it."""

    def browse(offered):
        page = fetched(base(offered) + "/").text
        action = html.unescape(re.search(r'action="([^"]+)"', page)[1])
        content = json.loads(html.unescape(re.search(r'name="manifest" value="([^"]+)"', page)[1]))
        hub.codes["a-code"] = MADE
        state = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(action).query))["state"]
        return action, content, fetched(f"{content['redirect_url']}?code=a-code&state={state}")

    return browse


def test_a_person_makes_the_app_and_its_key_is_in_both_accounts_and_nowhere_else(hub, secrets, person, project):
    code, (action, content, onward), said = person(made_by_github(hub))

    assert code == 0, said.err
    assert action.startswith("https://github.com/organizations/acme/settings/apps/new?state=")
    assert content["default_permissions"] == {"actions": "write", "metadata": "read"}
    assert content["public"] is False
    assert content["hook_attributes"]["active"] is False
    assert (onward.status, onward.onward) == (303, "https://github.com/apps/churn-acme/installations/new")
    assert [held(client) for client in secrets.values()] == [{"app_id": "77", "private_key": PEM}] * 2
    assert "nobody may see this" not in said.out + said.err
    assert not [file for file in project.root.rglob("*") if file.is_file() and b"nobody may see" in file.read_bytes()]
    assert [call.problem for call in hub.calls if call.problem] == []


def test_a_second_run_asks_nobody(hub, secrets, person, mlops, capsys):
    person(made_by_github(hub))

    assert mlops("bootstrap", "app", "--profile", f"{ACCOUNTS[1]}=prod", "--yes", "--json") == 0
    assert [each["deed"] for each in json.loads(capsys.readouterr().out)] == ["keep"]


def test_an_account_that_comes_later_gets_the_same_key(hub, secrets, person, mlops):
    person(made_by_github(hub))
    secrets[ACCOUNTS[1]].delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    secrets[ACCOUNTS[1]].create_secret(Name=SECRET)

    assert mlops("bootstrap", "app", "--profile", f"{ACCOUNTS[1]}=prod", "--yes") == 0
    assert held(secrets[ACCOUNTS[1]]) == {"app_id": "77", "private_key": PEM}


def test_nobody_else_can_hand_a_code_in(hub, secrets, person):
    hub.codes["stolen"] = {**MADE, "id": 666}

    def browse(offered):
        refused = [
            fetched(f"{base(offered)}/made?code=stolen&state=guessed").status,
            fetched(f"{base(offered)}/made?code=stolen").status,
            fetched(f"{base(offered)}/made?state={state_of(offered)}").status,
            fetched(f"{base(offered)}/made?code=stolen&state={state_of(offered)}", Host="evil.example").status,
            fetched(f"{base(offered)}/elsewhere").status,
        ]
        return refused, made_by_github(hub)(offered)

    code, (refused, _), _ = person(browse)

    assert refused == [403, 403, 403, 403, 404]
    assert code == 0
    assert held(secrets[ACCOUNTS[0]])["app_id"] == "77"


def test_a_code_that_github_does_not_know_is_told_and_nothing_is_kept(hub, secrets, person):
    def browse(offered):
        return fetched(f"{base(offered)}/made?code=old&state={state_of(offered)}")

    code, page, said = person(browse)

    assert (code, page.status) == (1, 500)
    assert "POST /app-manifests/old/conversions: 404" in said.err
    assert [held(client) for client in secrets.values()] == [None, None]


def test_a_person_who_never_comes_back_is_not_waited_for_forever(secrets, mlops, monkeypatch, capsys):
    monkeypatch.setattr(manifest, "PATIENCE_SECONDS", 0)

    assert mlops("bootstrap", "app", "--profile", f"{ACCOUNTS[1]}=prod", "--yes") == 1
    assert "nobody made the App" in capsys.readouterr().err


def test_each_account_needs_credentials_and_a_place_for_the_key(hub, secrets, mlops, capsys):
    assert mlops("bootstrap", "app", "--yes") == 2
    assert f"these credentials are of {ACCOUNTS[0]}: --profile {ACCOUNTS[1]}=NAME" in capsys.readouterr().err
    assert mlops("bootstrap", "app", "--profile", "333333333333=prod", "--yes") == 2
    assert "--profile is 333333333333=prod; give ACCOUNT=PROFILE" in capsys.readouterr().err
    assert mlops("bootstrap", "app", "--profile", f"{ACCOUNTS[1]}=nowhere", "--yes") == 2
    assert "nowhere" in capsys.readouterr().err

    secrets[ACCOUNTS[1]].delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    assert mlops("bootstrap", "app", "--profile", f"{ACCOUNTS[1]}=prod", "--yes") == 1
    assert f"account {ACCOUNTS[1]} has no secret {SECRET}: `mlops bootstrap aws` makes it" in capsys.readouterr().err
    secrets[ACCOUNTS[1]].create_secret(Name=SECRET)


def test_on_the_sandbox_there_is_nothing_to_start_workflows(hub, mlops, capsys):
    assert mlops("bootstrap", "app", "--yes") == 2
    assert "aws is sandbox" in capsys.readouterr().err


def test_destroy_says_how_the_app_goes(hub, secrets, person, mlops, capsys):
    person(made_by_github(hub))

    assert mlops("destroy", "--only", "github", "--confirm", "churn") == 0
    page = "https://github.com/organizations/acme/settings/apps/churn-acme/advanced"
    assert f"left: GitHub App churn-acme (GitHub lets only a person delete it: {page})" in capsys.readouterr().out


def test_the_doctor_tells_an_account_whose_functions_have_no_app(hub, secrets, person, project):
    with_aws = settings.load(project.root)

    [check] = app.checks(with_aws)
    assert (check.passed, check.fix) == (False, "mlops bootstrap app")
    person(made_by_github(hub))
    check, installed = app.checks(with_aws)
    assert (check.passed, check.found) == (True, f"number 77, in account {ACCOUNTS[0]}")
    assert (installed.passed, installed.found) == (False, "the App's private_key is no RSA key in PEM")

    secrets[ACCOUNTS[0]].delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    assert app.checks(with_aws) == []
    assert app.checks(project) == []  # the sandbox
    secrets[ACCOUNTS[0]].create_secret(Name=SECRET)


INSTALLED = {"permissions": {"actions": "write"}, "repository_selection": "selected", "suspended_at": None}
INSTALLATIONS = [
    ({"acme/churn": INSTALLED}, True, "in acme/churn, with actions: write", ""),
    ({"acme/churn": {**INSTALLED, "repository_selection": "all"}}, True, "in all others of its owner", ""),
    ({}, False, "not in acme/churn", "https://github.com/apps/churn-acme/installations/new"),
    ({"acme/other": INSTALLED}, False, "not in acme/churn", "installations/new"),
    ({"acme/churn": {**INSTALLED, "suspended_at": "2026-11-01T00:00:00Z"}}, False, "suspended", "Unsuspend"),
    ({"acme/churn": {**INSTALLED, "permissions": {"actions": "read"}}}, False, "actions is read", "Read and write"),
    ({"acme/churn": {**INSTALLED, "permissions": {}}}, False, "actions is not given", "Read and write"),
]


@pytest.fixture(scope="module")
def key():
    """An App's key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key, form):
    """A key's text."""
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.mark.parametrize(("installations", "passed", "found", "fix"), INSTALLATIONS)
def test_the_doctor_says_whether_the_app_may_start_workflows_here(
    hub, secrets, project, key, installations, passed, found, fix
):
    hub.app = App(77, key.public_key(), installations)
    for form in (serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8):
        content = {"app_id": "77", "private_key": pem(key, form)}
        secrets[ACCOUNTS[0]].put_secret_value(SecretId=SECRET, SecretString=json.dumps(content))

        _, check = app.checks(settings.load(project.root))

        assert check.passed is passed, check
        assert found in check.found
        assert (fix in check.fix) if fix else check.fix == ""


def test_the_doctor_says_that_github_knows_the_app_no_more(hub, secrets, project, key):
    hub.app = App(78, key.public_key(), {"acme/churn": INSTALLED})
    content = {"app_id": "77", "private_key": pem(key, serialization.PrivateFormat.PKCS8)}
    secrets[ACCOUNTS[0]].put_secret_value(SecretId=SECRET, SecretString=json.dumps(content))

    _, check = app.checks(settings.load(project.root))

    assert not check.passed
    assert "401" in check.found and SECRET in check.fix
