"""What endpoints were asked and answered, and how far that is from what the model learned from."""
