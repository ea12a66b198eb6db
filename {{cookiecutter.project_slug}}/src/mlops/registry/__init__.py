"""The model registry: groups, the versions in them, and how a version comes to the next group."""
