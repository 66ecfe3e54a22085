"""The environment variables and the module search path of a function.

Source: Lambda developer guide, "Defined runtime environment variables" and "Packaging layers" (read 2026-11). Of
Lambda's list only the addresses of daemons that do not exist here are missing; HOME is added, pointing to the
private temporary folder, so that no SDK finds the configuration of whoever started the server.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from typing import Any


def variables(init: dict[str, Any], task_root: str, runtime_dir: str, tmp: str) -> dict[str, str]:
    """Defaults, overridden by the function's own, overridden by what Lambda reserves."""
    spec = init["spec"]
    found = {
        "PATH": f"{os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin:/opt/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "LD_LIBRARY_PATH": f"/lib64:/usr/lib64:{runtime_dir}:{task_root}:{task_root}/lib:/opt/lib",
        "PYTHONPATH": runtime_dir,
        "HOME": tmp,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    }
    if tmp != "/tmp":
        found["TMPDIR"] = tmp
    if spec["endpoint_url"]:
        found["AWS_ENDPOINT_URL"] = spec["endpoint_url"]
    found |= dict(spec["environment"])
    found |= {
        "_HANDLER": spec["handler"],
        "AWS_REGION": spec["region"],
        "AWS_DEFAULT_REGION": spec["region"],
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec['runtime']}",
        "AWS_LAMBDA_FUNCTION_NAME": spec["function_name"],
        "AWS_LAMBDA_FUNCTION_VERSION": spec["version"],
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec["memory_mb"]),
        "AWS_LAMBDA_INITIALIZATION_TYPE": spec["initialization_type"],
        "AWS_LAMBDA_LOG_GROUP_NAME": spec["log_group"],
        "AWS_LAMBDA_LOG_STREAM_NAME": init["log_stream"],
        "AWS_LAMBDA_LOG_FORMAT": spec["log_format"],
        "LAMBDA_TASK_ROOT": task_root,
        "LAMBDA_RUNTIME_DIR": runtime_dir,
    }
    if spec["log_format"] == "JSON":
        found["AWS_LAMBDA_LOG_LEVEL"] = spec["application_log_level"] or "INFO"
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    found |= {name: value for name, value in zip(names, spec["credentials"], strict=True) if value}
    return found


def layer_paths(layers: list[str], runtime: str) -> list[str]:
    """Where layers put modules, the last layer first; a label's folder counts beside the interpreter's own."""
    version = platform.python_version_tuple()
    labels = dict.fromkeys((runtime, f"python{version[0]}.{version[1]}"))
    inside = [f"python/lib/{label}/site-packages" for label in labels] + ["python"]
    return [path for layer in reversed(layers) for end in inside if os.path.isdir(path := f"{layer}/{end}")]


def shadowed(folders: list[str], preloaded: frozenset[str]) -> set[str]:
    """Top-level names of preloaded modules that the function's package brings itself."""
    tops = {name.partition(".")[0] for name in preloaded}
    found = set()
    for folder in folders:
        for entry in os.scandir(folder):
            name = entry.name.partition(".")[0]
            if name in tops and (entry.name.endswith((".py", ".so")) or entry.is_dir()):
                found.add(name)
    return found


def cache_bytecode(folder: str, roots: tuple[str, ...]) -> None:
    """Keep the compiled form of modules below `roots`, which are read-only, in `folder`: imports compile once a revision.

    `sys.pycache_prefix` would do this for the standard library too and so lose what is compiled there already.
    """
    external: Any = importlib.import_module("importlib._bootstrap_external")
    ordinary = external.cache_from_source

    def cache_from_source(path: str, debug_override: bool | None = None, *, optimization: str | None = None) -> str:
        made: str = ordinary(path, debug_override, optimization=optimization)
        return folder + made if path.startswith(roots) else made

    external.cache_from_source = cache_from_source


def wants_own_interpreter(environment: list[list[str]]) -> bool:
    """Whether a variable is set that only counts when an interpreter (or the dynamic linker) starts."""
    harmless = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
    return any(name.startswith(("PYTHON", "LD_")) and name not in harmless for name, _ in environment)
