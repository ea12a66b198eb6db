"""Endpoints and batch: what serves, how it is rolled out, and how it goes back."""
