"""The quality gate: a new model held against limits and against the model that serves."""
