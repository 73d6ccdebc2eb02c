"""What runs: the process and its transports."""
