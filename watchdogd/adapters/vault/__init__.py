"""Vault over HTTP: requests as methods, parsing as pure functions, errors mapped in one place."""
