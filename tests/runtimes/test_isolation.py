"""What a function's process sees of the machine: files, modules, bundled SDKs, time."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import secrets
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jmespath
import pytest

from cumulet.runtimes import FunctionSpec, Invocation, Runtimes

if TYPE_CHECKING:
    from .conftest import Cloud


def answer(result):
    assert result.function_error is None, (result.payload, result.log)
    return json.loads(result.payload)


@pytest.mark.usefixtures("mounts")
def test_the_code_is_at_var_task_and_cannot_be_changed(cloud: Cloud):
    spec = cloud.function(
        """
        import os, sys
        def handler(event, context):
            try:
                open("new", "w")
            except OSError as error:
                refused = error.strerror
            return [os.getcwd(), __file__, sys.path[0], open("data.txt").read(), refused]
        """,
        {"data.txt": "facts"},
    )
    assert answer(cloud.invoke(spec)) == [
        "/var/task",
        "/var/task/app.py",
        "/var/task",
        "facts",
        "Read-only file system",
    ]


@pytest.mark.usefixtures("mounts")
def test_the_temporary_folder_is_private_and_has_a_size(cloud: Cloud):
    spec = cloud.function(
        """
        import os
        def handler(event, context):
            before = os.listdir("/tmp")
            try:
                with open(event, "wb") as out:
                    for _ in range(12):
                        out.write(bytes(1 << 20))
            except OSError as error:
                return [before, error.strerror]
        """,
        tmp_mb=10,
    )
    needed = {path.split("/")[2] for path in (sys.prefix, sys.base_prefix, __file__) if path.startswith("/tmp/")}
    before, error = answer(cloud.invoke(spec, name := f"/tmp/large-{secrets.token_hex(8)}"))
    assert set(before) <= needed  # an interpreter that lives under /tmp stays reachable
    assert error == "No space left on device"
    assert not os.path.exists(name)


def test_only_lambdas_packages_can_be_imported(cloud: Cloud):
    spec = cloud.function(
        """
        import importlib.util
        def handler(names, context):
            return [name for name in names if importlib.util.find_spec(name) is None]
        """
    )
    lambdas = ["boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3", "sqlite3", "zoneinfo"]
    assert answer(cloud.invoke(spec, lambdas)) == []
    ours = ["cumulet", "pytest", "uvloop", "msgspec"]
    assert answer(cloud.invoke(spec, ours)) == ours


def test_a_process_holds_no_descriptor_of_the_server(cloud: Cloud):
    spec = cloud.function(
        """
        import os
        def handler(event, context):
            kinds = {}
            for name in os.listdir("/proc/self/fd"):
                try:
                    kinds[name] = os.readlink("/proc/self/fd/" + name).partition(":")[0]
                except FileNotFoundError:
                    pass
            return kinds
        """
    )
    got = answer(cloud.invoke(spec))
    assert got == {"0": "/dev/null", "1": "pipe", "2": "pipe", "1000": "socket"}


@pytest.mark.usefixtures("mounts")
def test_a_bundled_sdk_comes_before_the_preloaded_one(cloud: Cloud):
    spec = cloud.function(
        "import boto3\ndef handler(event, context):\n    return [boto3.__version__, boto3.__file__]\n",
        {"boto3/__init__.py": "__version__ = 'mine'\n"},
    )
    assert answer(cloud.invoke(spec)) == ["mine", "/var/task/boto3/__init__.py"]
    layer = cloud.folder / "sdk-layer"
    (layer / "python" / "urllib3").mkdir(parents=True)
    (layer / "python" / "urllib3" / "__init__.py").write_text("__version__ = 'from the layer'\n")
    layered = cloud.function(
        "import urllib3\ndef handler(event, context):\n    return urllib3.__version__\n", layer_dirs=(layer,)
    )
    assert answer(cloud.invoke(layered)) == "from the layer"


@pytest.mark.usefixtures("mounts")
def test_boto3_works_with_a_bundled_copy_of_one_of_its_dependencies(cloud: Cloud):
    spec = cloud.function(
        """
        import boto3, jmespath
        client = boto3.client("sqs", region_name="us-east-1")
        def handler(event, context):
            return [client.meta.service_model.service_name, jmespath.search("a.b", {"a": {"b": 1}}), jmespath.__file__]
        """,
        credentials=("a", "b", "c"),
        timeout_s=60,
    )
    shutil.copytree(Path(jmespath.__file__).parent, spec.code_dir / "jmespath")
    assert answer(cloud.invoke(spec)) == ["sqs", 1, "/var/task/jmespath/__init__.py"]


def test_a_module_named_like_a_preloaded_one_is_the_functions_own(cloud: Cloud):
    spec = cloud.function(
        "import calendar, configparser\ndef handler(event, context):\n    return [calendar.MINE, configparser.__file__]\n",
        {"calendar.py": "MINE = 5\n"},
    )
    first, second = answer(cloud.invoke(spec))
    assert first == 5
    assert not second.startswith("/var/task")


@pytest.mark.parametrize("name", ["PYTHONHASHSEED", "LD_LIBRARY_PATH"])
@pytest.mark.usefixtures("mounts")
def test_variables_that_count_at_start_up_get_a_fresh_interpreter(cloud: Cloud, name: str):
    spec = cloud.function(
        """
        import os, sys
        print("importing", "boto3" in sys.modules)
        def handler(event, context):
            return [os.environ[event], sys.modules.get("botocore") is None, hash("a"), sys.path[0], os.getcwd()]
        """,
        environment=((name, "0"),),
        timeout_s=60,
    )
    other = cloud.function((spec.code_dir / "app.py").read_text(), environment=spec.environment, timeout_s=60)
    one, two = (answer(cloud.invoke(each, name)) for each in (spec, other))
    assert one[:2] == ["0", True]
    assert one[3:] == ["/var/task", "/var/task"]
    assert (one[2] == two[2]) == (name == "PYTHONHASHSEED")
    warm = cloud.invoke(spec, name)
    assert warm.init_ms is None and warm.max_memory_mb < 60


def test_a_first_client_works_and_keeps_nothing_of_another_function(cloud: Cloud):
    source = """
        import boto3
        client = boto3.client("dynamodb")
        def handler(event, context):
            keys = client._request_signer._credentials.get_frozen_credentials()
            return [keys.access_key, client.meta.endpoint_url, client.meta.region_name]
    """
    for key in ("one", "two"):
        spec = cloud.function(
            source, credentials=(key, "s", "t"), endpoint_url="http://127.0.0.1:9", region="eu-west-1", timeout_s=60
        )
        assert answer(cloud.invoke(spec)) == [key, "http://127.0.0.1:9", "eu-west-1"]


VIRTUAL = """
    import time, datetime, logging
    from datetime import date
    begun = time.time()
    def handler(seconds, context):
        before = time.time()
        left = context.get_remaining_time_in_millis()
        time.sleep(seconds)
        logging.warning("slept")
        now = datetime.datetime.now(datetime.timezone.utc)
        return {"begun": begun, "slept": time.time() - before, "now": now.isoformat(), "day": date.today().isoformat(),
                "left": left - context.get_remaining_time_in_millis(), "is": isinstance(now, datetime.datetime),
                "utc": datetime.datetime.utcnow().year, "gm": time.gmtime().tm_year}
"""


def test_a_function_lives_in_the_servers_virtual_time(cloud: Cloud):
    spec = cloud.function(VIRTUAL, timeout_s=900)
    start = 4_102_444_800.0  # 2100-01-01
    result = cloud.invoke(spec, 600, now=start)
    got = answer(result)
    assert start <= got["begun"] < start + 59
    assert 600 <= got["slept"] < 659
    assert 600_000 <= got["left"] < 659_000
    assert got["now"].startswith("2100-01-01T00:10:") and got["now"].endswith("+00:00")
    assert (got["day"], got["is"], got["utc"], got["gm"]) == ("2100-01-01", True, 2100, 2100)
    assert 600_000 <= result.duration_ms < 659_000
    assert all(start <= at < start + 659 for at, _ in result.log)
    assert result.log_stream.startswith("2100/01/01/")
    assert any("\t2100-01-01T00:10:" in text for _, text in result.log)
    later = answer(cloud.invoke(spec, 0, now=start + 86400))
    assert later["day"] == "2100-01-02"


def test_a_virtual_sleep_past_the_time_limit_is_a_timeout(cloud: Cloud):
    spec = cloud.function(VIRTUAL, timeout_s=30)
    result = cloud.invoke(spec, 31, now=1e9, request_id="r")
    assert (result.status, result.duration_ms) == ("timeout", 30_000.0)
    assert json.loads(result.payload)["errorMessage"] == "RequestId: r Error: Task timed out after 30.00 seconds"


def test_botocore_signs_with_the_virtual_time(cloud: Cloud):
    spec = cloud.function(
        """
        import boto3
        from botocore.config import Config
        def handler(event, context):
            client = boto3.client("s3", config=Config(signature_version=event))
            return client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})
        """,
        credentials=("a", "b", "c"),
        timeout_s=60,
    )
    minute = 999_999_960.0  # 2001-09-09T01:46:00Z; the function may run for one
    assert "X-Amz-Date=20010909T0146" in answer(cloud.invoke(spec, "s3v4", now=minute))
    expires = re.search(r"Expires=(\d+)", answer(cloud.invoke(spec, "s3", now=minute)))
    assert expires is not None
    assert 0 <= int(expires[1]) - minute - 3600 < 60


def test_the_interpreter_is_the_servers(cloud: Cloud):
    spec = cloud.function("import platform\ndef handler(event, context):\n    return platform.python_version()\n")
    assert answer(cloud.invoke(spec)) == platform.python_version()


@pytest.mark.usefixtures("mounts")
def test_modules_are_compiled_once_for_all_environments_of_a_revision(cloud: Cloud):
    spec = cloud.function(
        "import large\ndef handler(event, context):\n    return [large.__cached__, os.path.getmtime(large.__cached__)]\n"
        "import os\n",
        {"large.py": "X = 1\n" * 2000},
    )

    first = answer(cloud.invoke(spec))
    cloud.runtimes.retire(spec.function_arn)
    cold = cloud.invoke(spec)
    assert cold.init_ms is not None
    assert answer(cold) == first
    assert not (spec.code_dir / "__pycache__").exists()
    assert first[0].startswith("/var/bytecode/var/task/")


def test_without_mount_namespaces_functions_still_run_apart(tmp_path: Path):
    code, layer = tmp_path / "code", tmp_path / "layer"
    (layer / "python").mkdir(parents=True)
    (layer / "python" / "shared.py").write_text("VALUE = 4\n")
    code.mkdir()
    (code / "app.py").write_text(
        "import os, shared, tempfile, boto3\n"
        "def handler(event, context):\n"
        "    return [os.getcwd(), os.environ['LAMBDA_TASK_ROOT'], tempfile.gettempdir(), shared.VALUE, boto3.__file__]\n"
    )

    async def scenario():
        runtimes = Runtimes(tmp_path / "scratch", isolate=False)
        await runtimes.start()
        specs = [
            FunctionSpec(f"arn:{name}", name, "$LATEST", "python3.12", "app.handler", code, layer_dirs=(layer,))
            for name in "ab"
        ]
        got = [answer(await runtimes.invoke(spec, Invocation("r", b"{}"))) for spec in specs]
        for spec in specs:
            runtimes.retire(spec.function_arn)
        await runtimes.close()
        return got

    one, two = asyncio.run(scenario())
    assert one[:2] == [str(code), str(code)]
    assert one[2] != two[2] and all(Path(each[2]).is_relative_to(tmp_path / "scratch" / "tmp") for each in (one, two))
    assert one[3] == 4
    assert one[4].startswith(str(tmp_path / "scratch"))
