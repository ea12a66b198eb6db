"""The model: from raw cases to answered requests.

prepare.py, train.py and evaluate.py are the stages of dvc.yaml; inference.py answers requests; score.py lets the model
that serves answer a new test set, for the gate. Each runs as a script under SageMaker's container contract and imports
nothing of the machinery.
"""
