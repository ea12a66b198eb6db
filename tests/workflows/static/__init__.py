"""Static checks of the workflows: what linters and our own rules find, and mistakes seeded to try them."""
