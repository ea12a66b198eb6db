"""The first step of a job with an environment: it ends when the job may go on, and fails when it may not."""

import os
import sys
import urllib.error
import urllib.parse
import urllib.request

query = urllib.parse.urlencode({"environment": os.environ["HARNESS_ENVIRONMENT"], "job": os.environ["GITHUB_JOB"]})
request = urllib.request.Request(
    f"{os.environ['HARNESS_URL']}/enter?{query}", headers={"authorization": f"bearer {os.environ['HARNESS_TOKEN']}"}
)
try:
    with urllib.request.urlopen(request) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as refusal:
    sys.exit(f"::error::{refusal.read().decode()}")
