"""The endpoint: HTTP, failures, models."""
