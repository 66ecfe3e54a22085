"""The Aggregator deployed, driven, and its external service broken. Checklist: A1, B6.1, B6.2, C11, C13."""

import time
import urllib.request


def test_one_request_asks_three_services_at_once_and_combines_their_answers(pattern, cloud):
    """B6.1: one HTTP call, three invokes, one combined body; the trace shows 1 + 3."""
    with pattern.carrier() as carrier:
        service = pattern.deploy(cloud.endpoint, carrier.url)
        root = "1-65000000-aaaaaaaaaaaaaaaaaaaaaaaa"
        ask = urllib.request.Request(f"{service.url}/customers/ada", headers={"X-Amzn-Trace-Id": f"Root={root}"})
        with urllib.request.urlopen(ask, timeout=60) as answer:
            assert answer.status == 200
        assert pattern.ask(service, "ada") == {
            "customer": "ada",
            "profile": {"name": "Customer ada", "since": 2018},
            "orders": {"open": ["ada-0", "ada-1"]},
            "shipping": {"parcels": ["on its way"]},
            "incomplete": [],
        }
    spans = service.trace(root)
    invokes = {span["name"]: span for span in spans if span["name"].startswith("invoke ")}
    assert set(invokes) == {
        f"invoke {service.outputs[name]}" for name in ("Dashboard", "Profile", "Orders", "Shipping")
    }
    outer = invokes[f"invoke {service.outputs['Dashboard']}"]
    assert all(span["started"] >= outer["started"] for span in invokes.values())


def test_a_failing_external_service_is_named_and_the_others_are_answered(pattern, cloud):
    """B6.2, C11: the external service's failure is visible and survived; C13: the trace names what failed."""
    with pattern.carrier() as carrier:
        carrier.status = 503
        service = pattern.deploy(cloud.endpoint, carrier.url)
        answer = pattern.ask(service, "bob")
        assert answer["incomplete"] == ["shipping"]
        assert answer["shipping"]["error"] == "CarrierUnavailable"
        assert "503" in answer["shipping"]["message"]
        assert answer["profile"]["name"] == "Customer bob"
        carrier.status = 200
        assert pattern.ask(service, "bob")["incomplete"] == []
    assert pattern.ask(service, "bob")["shipping"]["error"] == "CarrierUnavailable", "the carrier is gone altogether"


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
