"""What `selftest` asserts, one module for each service."""
