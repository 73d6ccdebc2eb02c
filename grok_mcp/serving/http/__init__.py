"""The network transports."""
