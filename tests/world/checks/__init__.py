"""What selftest asserts of a world, in the order of the modules."""
