"""Event source mappings: their operations and states, and what reads the sources: `queues` for SQS, `shards` and `readers` for streams."""
