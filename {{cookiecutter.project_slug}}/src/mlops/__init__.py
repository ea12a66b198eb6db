"""Take a model from a feature branch to production on Amazon SageMaker."""
