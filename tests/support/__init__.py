"""What several test modules use; none of it is a test."""
