"""AWS on a laptop: moto for the plain services, this project's own SageMaker in front of it."""
