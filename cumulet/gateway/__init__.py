"""The front: HTTP server, routing, parked requests."""
