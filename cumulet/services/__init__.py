"""One package per AWS service, independent of one another."""
