"""Watches pairs of replicated Vault clusters from outside, and fails over when the evidence holds."""

__version__ = "0.1.0"
