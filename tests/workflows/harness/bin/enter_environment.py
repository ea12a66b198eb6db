"""The first step of a job with an environment or a concurrency group: it ends when the job may go on, or fails."""

import os
import sys
import urllib.error
import urllib.parse
import urllib.request

names = ("environment", "group", "queue", "cancels", "job")
query = urllib.parse.urlencode({name: os.environ[f"HARNESS_{name.upper()}"] for name in names})
request = urllib.request.Request(
    f"{os.environ['HARNESS_URL']}/enter?{query}", headers={"authorization": f"bearer {os.environ['HARNESS_TOKEN']}"}
)
try:
    with urllib.request.urlopen(request) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as refusal:
    sys.exit(f"::error::{refusal.read().decode()}")
