"""SageMaker's jobs: training and processing, each in a folder of its own and a fork of an interpreter that is warm."""

from sandbox.jobs import processing, training
from sandbox.jobs.interpreter import interpreter as start

__all__ = ["processing", "start", "training"]
