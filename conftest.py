"""What all tests share, the patterns' too: an environment that says nothing of its own, and no need of the network."""

import atexit
import hashlib
import os
import re
import shutil
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path

_PROXIES = {"http_proxy", "https_proxy", "all_proxy"}
_CACHE = "CUMULET_TEST_CACHE"  # made by the process that starts the others


def _scrub() -> None:
    """Forget what somebody has set for his own clouds, and the way to others."""
    for name in list(os.environ):
        own = name.startswith("CUMULET_") and not name.startswith("CUMULET_TEST_")
        if own or name.startswith("AWS_") or name.lower() in _PROXIES:
            del os.environ[name]
    os.environ.update(
        AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )  # fmt: skip
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of servers are started: one compiles, the others read


def _installed(name: str, found: set[str]) -> set[str]:
    """The names of a package and of what it needs."""
    if name not in found:
        found.add(name)
        for line in distribution(name).requires or ():
            if "extra ==" not in line:
                _installed(re.split(r"[^\w.-]", line)[0], found)
    return found


def _copied(name: str, target: Path) -> None:
    files = distribution(name).files or ()
    for file in files:
        if ".." not in file.parts and "__pycache__" not in file.parts:
            place = target / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), place)


def _provide_requirements() -> None:
    """Have the patterns' requirements where `cumulet deploy` keeps what it has installed: pip would ask others for them."""
    folder = os.environ.get(_CACHE)
    if folder is None:
        folder = os.environ[_CACHE] = tempfile.mkdtemp(prefix="cumulet-tests-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for file in Path(__file__).with_name("patterns").rglob("requirements.txt"):
            key = hashlib.sha256(file.read_bytes() + sys.version.encode()).hexdigest()[:32]
            target = Path(folder, "cumulet", "requirements", key)
            wanted = {re.split(r"[^\w.-]", line)[0] for line in file.read_text().splitlines()}
            for name in (
                set().union(*(_installed(each, set()) for each in wanted if each)) if not target.exists() else ()
            ):
                _copied(name, target)
    os.environ["XDG_CACHE_HOME"] = folder


_scrub()
_provide_requirements()
