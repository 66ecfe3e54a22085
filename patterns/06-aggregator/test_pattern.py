"""The Aggregator deployed, driven, and its external service broken. Checklist: A1, B6.1, B6.2, C11, C13."""

import concurrent.futures
import http.client
import json
import time
import urllib.request

import pytest


def traced(service, customer, root):
    """The answer to a request that begins the trace `root`."""
    ask = urllib.request.Request(f"{service.url}/customers/{customer}", headers={"X-Amzn-Trace-Id": f"Root={root}"})
    with urllib.request.urlopen(ask, timeout=60) as answer:
        assert answer.status == 200
        return json.load(answer)


def invocations(service, root):
    """(function, span) of every invocation in a trace, by the function's name."""
    names = {f"invoke {service.outputs[name]}": name for name in ("Dashboard", "Profile", "Orders", "Shipping")}
    found = [(names[span["name"]], span) for span in service.trace(root) if span["name"] in names]
    return sorted(found, key=lambda pair: pair[0])


def test_one_request_asks_three_services_at_once_and_combines_their_answers(pattern, cloud):
    """B6.1: one HTTP call, three invokes, one combined body; the trace shows 1 + 3."""
    with pattern.carrier() as carrier:
        service = pattern.deploy(cloud.endpoint, carrier.url)
        assert traced(service, "ada", root := "1-65000000-aaaaaaaaaaaaaaaaaaaaaaaa") == {
            "customer": "ada",
            "profile": {"name": "Customer ada", "since": 2018},
            "orders": {"open": ["ada-0", "ada-1"]},
            "shipping": {"parcels": ["on its way"]},
            "incomplete": [],
        }
    assert [name for name, _ in invocations(service, root)] == ["Dashboard", "Orders", "Profile", "Shipping"]
    spans = {span["span_id"]: span for span in service.trace(root)}
    outer = f"invoke {service.outputs['Dashboard']}"
    for name, span in invocations(service, root)[1:]:
        above, parent = [], span["parent_id"]
        while parent in spans:
            above.append(spans[parent]["name"])
            parent = spans[parent]["parent_id"]
        assert outer in above, f"{name} was called by the Dashboard"


def test_a_failing_external_service_is_named_and_the_others_are_answered(pattern, cloud):
    """B6.2, C11: the external service's failure is visible and survived; C13: the trace names what failed."""
    with pattern.carrier() as carrier:
        carrier.status = 503
        service = pattern.deploy(cloud.endpoint, carrier.url)
        answer = traced(service, "bob", root := "1-65000000-cccccccccccccccccccccccc")
        states = {name: span["status"] for name, span in invocations(service, root)}
        assert states == {"Dashboard": "ok", "Orders": "ok", "Profile": "ok", "Shipping": "CarrierUnavailable"}
        assert answer["incomplete"] == ["shipping"]
        assert answer["shipping"]["error"] == "CarrierUnavailable"
        assert "503" in answer["shipping"]["message"]
        assert answer["profile"]["name"] == "Customer bob"
        carrier.status = 200
        assert pattern.ask(service, "bob")["incomplete"] == []
    assert pattern.ask(service, "bob")["shipping"]["error"] == "CarrierUnavailable", "the carrier is gone altogether"


def test_an_external_service_that_does_not_answer_in_time_is_named_too(pattern, cloud):
    """B6.2: a time-out is visible and survived."""
    with pattern.carrier() as carrier:
        service = pattern.deploy(cloud.endpoint, carrier.url, carrier_timeout_s=1)
        carrier.answers.clear()
        try:
            answer = pattern.ask(service, "eve")
        finally:
            carrier.answers.set()
        assert answer["incomplete"] == ["shipping"]
        assert (answer["shipping"]["error"], "timed out" in answer["shipping"]["message"]) == (
            "CarrierUnavailable",
            True,
        )
        assert answer["profile"]["name"] == "Customer eve"
        service = pattern.deploy(cloud.endpoint, carrier.url)
        assert pattern.ask(service, "eve")["incomplete"] == []


def test_a_service_that_is_gone_altogether_leaves_the_rest_of_the_answer(pattern, cloud):
    """C11: total failure of one service degrades the answer instead of failing it: throttled to nothing, then deleted."""
    with pattern.carrier() as carrier:
        service = pattern.deploy(cloud.endpoint, carrier.url)
        client = service.client("lambda")
        client.put_function_concurrency(FunctionName=service.outputs["Orders"], ReservedConcurrentExecutions=0)
        answer = pattern.ask(service, "ada")
        assert answer["incomplete"] == ["orders"]
        assert "TooManyRequestsException" in answer["orders"]["message"]
        client.delete_function(FunctionName=service.outputs["Profile"])
        answer = pattern.ask(service, "ada")
        assert answer["incomplete"] == ["orders", "profile"]
        assert answer["shipping"] == {"parcels": ["on its way"]}


def test_the_three_are_asked_in_parallel(pattern, cloud):
    """B6.1: the answer takes as long as the slowest service, not as long as all of them."""
    with pattern.carrier() as carrier:
        service = pattern.deploy(cloud.endpoint, carrier.url)
        pattern.ask(service, "ada")
        root = "1-65000000-bbbbbbbbbbbbbbbbbbbbbbbb"
        ask = urllib.request.Request(f"{service.url}/customers/ada", headers={"X-Amzn-Trace-Id": f"Root={root}"})
        deadline = time.monotonic() + 180
        while True:  # a scheduler may run three threads one after another now and then
            urllib.request.urlopen(ask, timeout=60).close()
            parts = [
                span
                for span in service.trace(root)
                if span["name"].startswith("invoke ") and "Dashboard" not in span["name"]
            ][-3:]
            if max(span["started"] for span in parts) < min(s["started"] + s["duration_ms"] / 1e3 for s in parts):
                break
            assert time.monotonic() < deadline, "the three never overlapped"


def test_it_answers_after_sigkill_as_before(pattern, server_process):
    """B6.1: the server dies with a request under way: its client sees a broken connection, the next has a whole answer."""
    server = server_process().start()
    with pattern.carrier() as carrier:
        service = pattern.deploy(server.endpoint, carrier.url)
        whole = pattern.ask(service, "ada")
        carrier.answers.clear()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            under_way = pool.submit(pattern.ask, service, "ada")
            assert carrier.asked.wait(60)
            server.kill()
            carrier.answers.set()
            with pytest.raises((OSError, http.client.HTTPException)):
                under_way.result(60)
        server.start()
        assert pattern.ask(service, "ada") == whole
