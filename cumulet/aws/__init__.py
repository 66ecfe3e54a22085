"""AWS vocabulary: errors, ARNs, HTTP messages; no behaviour, no I/O."""
