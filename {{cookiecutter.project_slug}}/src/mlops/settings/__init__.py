"""Settings: mlops.yaml as frozen models, each limit beside the field it limits."""
