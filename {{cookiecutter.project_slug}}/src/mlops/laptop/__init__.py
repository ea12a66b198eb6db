"""The sandbox on a laptop, and the demo that runs in it."""
