"""What a model is put through after each deployment."""
