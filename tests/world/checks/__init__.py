"""The checks that selftest runs on a world, in the order of the modules."""
