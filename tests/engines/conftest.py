"""Engines without a cloud around them."""
