"""The commands beside the stdio server."""
