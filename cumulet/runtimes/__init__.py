"""Running functions: what to run, what comes back, and `Runtimes`, which runs it in processes of its own."""

from .model import (
    FunctionSpec,
    Invocation,
    InvocationResult,
    RuntimesClosed,
    RuntimeStartError,
    UnsupportedRuntime,
)
from .pool import Runtimes

__all__ = [
    "FunctionSpec",
    "Invocation",
    "InvocationResult",
    "RuntimeStartError",
    "Runtimes",
    "RuntimesClosed",
    "UnsupportedRuntime",
]
