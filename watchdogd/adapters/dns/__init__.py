"""The service name: who publishes it, and who is asked what it resolves to."""
