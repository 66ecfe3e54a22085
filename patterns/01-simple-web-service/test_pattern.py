"""The Simple Web Service deployed, driven, and broken once. Checklist: B1.1, B1.2, D2, F1."""

import concurrent.futures
import threading
import urllib.request


def test_it_creates_reads_updates_lists_and_deletes_over_http(pattern, server_process, capfd):
    """B1.1: CRUD over HTTP end to end with an unmodified SAM template."""
    service = pattern.deploy(server_process().start().endpoint)
    pattern.drive(service)
    assert service.request("POST", "/items", None)[0] == 400
    form = urllib.request.Request(
        f"{service.url}/items", b'{"id": "curl"}'
    )  # urllib's and curl's media type is a form's
    with urllib.request.urlopen(form, timeout=60) as answer:
        assert answer.status == 201
    assert service.request("PATCH", "/items/a", {}) == (404, {"message": "Not Found"})
    assert "Service" in capfd.readouterr().out


def test_parallel_requests_run_in_parallel_and_lose_no_write(pattern, server_process):
    """B1.2: N parallel requests run N handler instances at once, no lost writes."""
    service = pattern.deploy(server_process().start().endpoint)
    barrier = threading.Barrier(16)

    def create(number):
        barrier.wait()
        return service.request("POST", "/items", {"id": f"p{number:03d}"})[0]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(create, range(64))) == [201] * 64
    _, answer = service.request("GET", "/items")
    assert [item["id"] for item in answer["items"]] == [f"p{number:03d}" for number in range(64)]


def test_what_was_answered_with_201_survives_sigkill(pattern, server_process):
    """F1: any worker can be killed at any time without losing what was acknowledged."""
    server = server_process().start()
    service = pattern.deploy(server.endpoint)
    acknowledged, enough = set(), threading.Event()

    def write(writer):
        for number in range(10_000):
            name = f"{writer}-{number}"
            try:
                status, _ = service.request("POST", "/items", {"id": name})
            except (OSError, ValueError):
                return
            if status == 201:
                acknowledged.add(name)
                if len(acknowledged) >= 60:
                    enough.set()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(write, number) for number in range(8)]
        assert enough.wait(180)
        server.kill()
        concurrent.futures.wait(writers)
    server.start()
    _, answer = service.request("GET", "/items")
    assert acknowledged <= {item["id"] for item in answer["items"]}
