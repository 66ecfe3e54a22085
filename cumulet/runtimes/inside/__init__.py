"""Code that runs inside the zygote and the execution environments, never in the server.

It is loaded without `cumulet/__init__.py` and `cumulet/runtimes/__init__.py` (see `starter.BOOT`), imports only the
standard library, and disappears from `sys.modules` before a customer's module is imported.
"""
