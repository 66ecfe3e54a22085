"""The console's page and files, who may read them, and that they refer to nobody else."""

import http.client
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import cumulet.console

STATIC = Path(cumulet.console.__file__).with_name("static")
FILES = sorted(path.name for path in STATIC.iterdir())
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def get(cloud, path, headers=None):
    ask = urllib.request.Request(cloud.endpoint + path, headers=headers or {})
    with urllib.request.urlopen(ask, timeout=60) as answer:
        return answer.headers, answer.read()


def status(cloud, path, headers, method="GET"):
    """With headers as they are, a Host among them."""
    connection = http.client.HTTPConnection(cloud.endpoint.removeprefix("http://"), timeout=60)
    connection.putrequest(method, path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


@pytest.mark.parametrize("name", ["", *FILES])
def test_the_page_and_its_files_are_served_with_their_types(cloud, name):
    headers, body = get(cloud, f"/_cumulet/console/{name}".removesuffix("/"))
    path = STATIC / (name or "index.html")
    assert body == path.read_bytes()
    assert headers["content-type"] == f"{TYPES[path.suffix[1:]]}; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_drawing_is_an_image(cloud):
    headers, body = get(cloud, "/_cumulet/map.svg?stack=")
    assert headers["content-type"] == "image/svg+xml; charset=utf-8"
    assert "script-src" not in headers["content-security-policy"]
    assert body.startswith(b"<svg ")


@pytest.mark.parametrize("name", FILES)
def test_no_file_refers_to_anything_outside(name):
    text = (STATIC / name).read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"https?:|wss?://|[\"'(=]//", text)
    referred = re.findall(r"(?:src|href)=\"([^\"]+)\"|from \"([^\"]+)\"|@import|url\(", text)
    for found in referred:
        (path,) = filter(None, found)
        assert path.startswith("#") or (STATIC / path.removeprefix("/_cumulet/console/").removeprefix("./")).is_file()


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith((".js", ".html"))])
def test_what_messages_contain_is_never_html(name):
    """Bodies and errors are other people's: text alone is made of them, and no style or script is in the page."""
    text = (STATIC / name).read_text()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", text)
    assert not re.findall(r"<style|style=|\son\w+=\"|javascript:", text)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js reads the scripts")
@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
def test_the_scripts_are_javascript(name, tmp_path):
    module = tmp_path / f"{name}.mjs"
    module.write_bytes((STATIC / name).read_bytes())
    subprocess.run(["node", "--check", str(module)], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize(
    "path",
    [
        "/_cumulet/console/nothing.js",
        "/_cumulet/console/../gateway/auth.py",
        "/_cumulet/consoleconsole.js",
        "/_cumulet/maps",
    ],
)
def test_there_is_nothing_else(cloud, path):
    assert status(cloud, path, {"host": "127.0.0.1"})[0] == 404


@pytest.mark.parametrize("path", ["/_cumulet/console", "/_cumulet/map.svg"])
def test_files_are_only_read(cloud, path):
    assert status(cloud, path, {"host": "127.0.0.1", "content-length": "0"}, "POST")[0] == 405


def test_a_map_is_not_forgotten_by_mistake(cloud):
    answered = status(cloud, "/_cumulet/map", {"host": "127.0.0.1", "content-length": "0"}, "POST")
    assert answered[0] == 400 and b"forget" in answered[1]


OWN = ["/_cumulet/console", "/_cumulet/map", "/_cumulet/map.svg", "/_cumulet/trace", "/_cumulet/clock"]


@pytest.mark.parametrize("path", OWN)
@pytest.mark.parametrize("host", ["rebound.example.com:4566", "localhost.example.com", "127.0.0.1.example.com", "["])
def test_a_page_whose_name_was_made_to_mean_this_machine_reads_nothing(cloud, path, host):
    """DNS rebinding: the browser takes it for one origin and sends no Origin; its Host tells."""
    assert status(cloud, path, {"host": host})[0] == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1:4566", "localhost:4566", "LOCALHOST", "shop.localhost", "[::1]:4566", "10.0.0.7"]
)
def test_addresses_and_local_names_are_served(cloud, host):
    """An address cannot be rebound."""
    assert status(cloud, "/_cumulet/map", {"host": host})[0] == 200


@pytest.mark.parametrize("path", OWN)
def test_pages_of_other_sites_read_nothing(cloud, path):
    answered = status(cloud, path, {"host": "127.0.0.1", "origin": "https://example.com"})
    assert answered[0] == 403
    assert status(cloud, path, {"host": "127.0.0.1", "origin": "http://127.0.0.1:4566"})[0] == 200


def test_off_loopback_the_console_wants_a_signature_and_is_not_offered(server_process):
    server = server_process("--host", "0.0.0.0", "--memory").start()
    for path in OWN:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(server.endpoint + path, timeout=60)
        assert refused.value.code == 403
        assert json.load(refused.value)["__type"] == "MissingAuthenticationTokenException"
    server.stop()
    assert "console" not in server.log.read_text()


def test_up_says_where_the_console_is(server_process):
    server = server_process("--memory").start()
    urllib.request.urlopen(f"{server.endpoint}/_cumulet/console", timeout=60).close()
    server.stop()
    assert f"  console  {server.endpoint}/_cumulet/console" in server.log.read_text().splitlines()
