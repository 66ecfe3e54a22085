"""boto3 in the zygote: imported once, with the parsed JSON of its models shared by every environment forked from it.

Only parsed data files are shared: no session, client, socket or credential exists before a fork. The documentation
strings (most of a model's bulk) are empty in what is shared; an environment that sets AWS_DATA_PATH reads its
files itself.
"""

from __future__ import annotations

import os
import sys
from typing import Any

NAMES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
_SHARED = ("dynamodb", "sqs", "sns", "lambda", "events", "s3")
_RESOURCES = ("dynamodb", "s3")
_TYPES = ("service-2", "endpoint-rule-set-1", "resources-1")
_DATA = ("endpoints", "partitions", "sdk-default-configuration", "_retry")


def preload() -> None:
    """Import boto3 and what its first client imports lazily; parse the models most functions use."""
    import boto3.session
    import botocore.client
    import botocore.loaders
    import botocore.session
    import botocore.signers

    _share_parsed_files(botocore.loaders)
    loader = botocore.loaders.Loader()
    loader.search_paths.append(os.path.join(os.path.dirname(boto3.session.__file__), "data"))  # as boto3's sessions do
    for type_name in _TYPES:
        loader.list_available_services(type_name)
    for name in _DATA:
        loader.load_data(name)
    for service in _SHARED:
        loader.load_service_model(service, "service-2")
        loader.load_service_model(service, "endpoint-rule-set-1")
    for service in _RESOURCES:
        loader.load_service_model(service, "resources-1")


def _share_parsed_files(loaders: Any) -> None:
    """Replace the loader's file reader by one that remembers, and its directory walk by a remembered one."""
    read = loaders.JSONFileLoader.load_file
    walk = loaders.Loader.list_available_services
    parsed: dict[str, Any] = {}
    listed: dict[tuple[str, ...], list[str]] = {}
    zygote = os.getpid()

    def load_file(self: Any, file_path: str) -> Any:
        got = parsed.get(file_path)
        if got is None:
            got = read(self, file_path)
            if os.getpid() == zygote and got is not None:
                got = parsed[file_path] = _slim(got, {})
        return got

    def list_available_services(self: Any, type_name: str) -> list[str]:
        if os.environ.get("AWS_DATA_PATH"):
            return list(walk(self, type_name=type_name))
        key = (type_name, *filter(os.path.isdir, self.search_paths))
        if key not in listed:
            listed[key] = walk(self, type_name=type_name)
        return list(listed[key])

    loaders.JSONFileLoader.load_file = load_file
    loaders.Loader.list_available_services = list_available_services


def _slim(value: Any, strings: dict[str, str]) -> Any:
    """A copy with empty documentation strings (botocore edits some, so they must exist), equal strings being one."""
    if isinstance(value, dict):
        return {
            strings.setdefault(key, key): (
                "" if key == "documentation" and isinstance(item, str) else _slim(item, strings)
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_slim(item, strings) for item in value]
    if isinstance(value, str):
        return strings.setdefault(value, value)
    return value


def forget() -> None:
    """Drop the preloaded SDK from this process, so that a copy bundled with the function is imported instead."""
    for name in [name for name in sys.modules if name.partition(".")[0] in NAMES]:
        del sys.modules[name]
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "_SixMetaPathImporter"]
    sys.path_importer_cache.clear()
