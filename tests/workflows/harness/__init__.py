"""GitHub on this machine: a repository's workflows started by its events and executed offline by act."""

from harness.environments import Environment
from harness.github import GitHub
from harness.origin import Origin
from harness.repository import Repository
from harness.runs import HarnessError, Job, Run, Step

__all__ = ["Environment", "GitHub", "HarnessError", "Job", "Origin", "Repository", "Run", "Step"]
