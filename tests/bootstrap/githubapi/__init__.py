"""GitHub's REST API as the bootstrap uses it: a server with a state, held to GitHub's own description of the API."""
