"""The Gatekeeper deployed, driven and killed. Checklist: B3.1, B3.2, B3.3, B3.4, A3."""

import http.client
import json
import random
import threading

import pytest

MAY = ["GET/orders", "GET/orders/*", "GET/reports"]


@pytest.fixture
def service(pattern, cloud):
    return pattern.deploy(cloud.endpoint)


def asked(service):
    """What the authorizer was asked, in order."""
    logs = service.client("logs")
    try:
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{service.outputs['Authorize']}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [json.loads(event["message"]) for event in found if event["message"].startswith("{")]


def test_both_kinds_of_authorizer_are_asked_with_their_own_event(pattern, service):
    """B3.1: the function gets the token, or the request, and the ARN of the method; its policy lets the request in."""
    token = pattern.add(service, "ann", allow=MAY)
    status, answer = pattern.ask(service, token, "/orders/7")
    assert (status, answer["did"], answer["user"]) == (200, "GET /orders/7", "ann")
    assert pattern.ask(service, token, "/reports?branch=north")[0] == 200
    by_request, by_token = sorted(asked(service), key=lambda event: event["type"])
    api = service.url.split("/")[-2]
    arn = f"arn:aws:execute-api:us-east-1:000000000000:{api}/live/GET"
    assert by_token == {"type": "TOKEN", "methodArn": f"{arn}/orders/7"}
    assert by_request == {"type": "REQUEST", "methodArn": f"{arn}/reports", "resource": "/reports", "httpMethod": "GET"}


def test_the_policy_decides_for_each_resource_and_a_deny_wins(pattern, service):
    """B3.2: allowed routes are served, others are 403, an explicit Deny wins over the Allow."""
    token = pattern.add(service, "ann", allow=MAY, deny=["GET/orders/secret"])
    tried = [("GET", "/orders"), ("GET", "/orders/7"), ("GET", "/orders/secret"), ("DELETE", "/orders/7")]
    answers = [pattern.ask(service, token, path, method) for method, path in tried]
    assert [status for status, _ in answers] == [200, 200, 403, 403]
    assert "explicit deny" in answers[2][1]["message"]
    assert len(asked(service)) == 1, "one policy for all four"


def test_without_a_token_nobody_is_asked(pattern, service):
    """B3.2: no token, or one that is none, is a 401 and the authorizer is not called; a wrong one is asked about."""
    for token in (None, ""):
        assert pattern.ask(service, token, "/orders")[0] == 401
    token = pattern.add(service, "ann", allow=["*"])
    assert pattern.ask(service, token, "/reports")[0] == 401, "an identity source is missing"
    assert asked(service) == []
    assert pattern.ask(service, "ann.guessed", "/orders")[0] == 401
    assert pattern.ask(service, "nobody.guessed", "/orders")[0] == 401
    assert len(asked(service)) == 2


def test_a_policy_is_kept_for_its_time_and_no_longer(pattern, service, clock):
    """B3.3: one call within 300 seconds, a second one after them; kept by token, held against every resource."""
    ann, bob = pattern.add(service, "ann", allow=MAY), pattern.add(service, "bob", allow=["GET/orders"])
    first = pattern.ask(service, ann, "/orders")[1]["decision"]
    clock.advance(299)
    assert pattern.ask(service, ann, "/orders/7")[1]["decision"] == first
    assert pattern.ask(service, bob, "/orders/7")[0] == 403 and len(asked(service)) == 2
    clock.advance(1)
    assert pattern.ask(service, ann, "/orders")[1]["decision"] != first
    assert len(asked(service)) == 3


def test_a_request_policy_is_kept_by_all_of_its_identity_sources(pattern, service):
    """B3.3: another branch is another identity."""
    token = pattern.add(service, "ann", allow=MAY, branch="north")
    answers = [
        pattern.ask(service, token, f"/reports?branch={branch}")[0] for branch in ("north", "south", "north", "south")
    ]
    assert answers == [200, 403, 200, 403] and len(asked(service)) == 2


def test_nothing_is_kept_for_no_time_and_none_longer_than_an_hour(pattern, cloud, clock):
    """B3.3: a TTL of 0 asks every time; 3600 holds for an hour; 3601 is refused."""
    none = pattern.deploy(cloud.endpoint, "none", kept_for_s=0)
    token = pattern.add(none, "ann", allow=MAY)
    assert len({pattern.ask(none, token, "/orders")[1]["decision"] for _ in range(3)}) == 3
    hour = pattern.deploy(cloud.endpoint, "hour", kept_for_s=3600)
    token = pattern.add(hour, "ann", allow=MAY)
    first = pattern.ask(hour, token, "/orders")[1]["decision"]
    clock.advance(3599)
    assert pattern.ask(hour, token, "/orders")[1]["decision"] == first
    clock.advance(1)
    assert pattern.ask(hour, token, "/orders")[1]["decision"] != first
    with pytest.raises(SystemExit, match="not greater than 3600|deploy again"):
        pattern.deploy(cloud.endpoint, "more", kept_for_s=3601)


def test_users_come_change_and_go_and_the_gate_knows_at_latest_after_the_ttl(pattern, service, clock):
    """B3.4: the authorization service has an API of its own, for those with AWS credentials, and can be invoked."""
    assert pattern.administer(service, "POST", "/users", {"name": "eve", "allow": ["*"]}, signed=False)[0] == 403
    ann, bob = pattern.add(service, "ann", allow=["GET/orders"]), pattern.add(service, "bob", allow=["GET/orders"])
    assert pattern.administer(service, "POST", "/users", {"name": "ann"})[0] == 409
    assert pattern.administer(service, "GET", "/users/ann")[1]["allow"] == ["GET/orders"]
    assert "secret" not in pattern.administer(service, "GET", "/users/ann")[1]
    assert [pattern.ask(service, ann, path)[0] for path in ("/orders", "/orders/7")] == [200, 403]
    assert pattern.ask(service, bob, "/orders")[0] == 200
    assert pattern.administer(service, "PUT", "/users/ann", {"allow": ["GET/orders/*"]})[0] == 200
    assert service.invoke("Users", {"action": "remove", "name": "bob"}) == {"status": 200, "name": "bob"}
    clock.advance(299)
    assert pattern.ask(service, bob, "/orders")[0] == 200, "his policy is kept"
    clock.advance(1)
    assert [pattern.ask(service, ann, path)[0] for path in ("/orders", "/orders/7")] == [403, 200]
    assert pattern.ask(service, bob, "/orders")[0] == 401
    assert pattern.administer(service, "DELETE", "/users/bob")[0] == 404


class Administrator(threading.Thread):
    """Adds users and removes every third until the server is gone, and remembers what was acknowledged."""

    def __init__(self, pattern, service, prefix, enough):
        super().__init__()
        self.pattern, self.service, self.prefix, self.enough = pattern, service, prefix, enough
        self.tokens, self.gone, self.reached = {}, set(), threading.Event()

    def run(self):
        for number in range(1000):
            name = f"{self.prefix}-{number}"
            try:
                self.tokens[name] = self.pattern.add(self.service, name, allow=["GET/orders"])
                if number % 3 == 0:
                    assert self.pattern.administer(self.service, "DELETE", f"/users/{name}")[0] == 200
                    self.gone.add(name)
            except (OSError, http.client.HTTPException):
                if number % 3 == 0:
                    self.tokens.pop(name, None)  # whether he was removed, nobody was told
                return
            if number >= self.enough:
                self.reached.set()


@pytest.mark.crash
def test_who_was_added_may_and_who_was_removed_may_not_after_sigkill(pattern, server_process):
    """B3.4, A3: whatever the administration acknowledged holds after a kill -9 at a random moment."""
    server = server_process().start()
    service, draw = pattern.deploy(server.endpoint, kept_for_s=0), random.Random()
    done = []
    for round_ in range(3):
        done.append(Administrator(pattern, service, f"user-{round_}", draw.randrange(3, 20)))
        done[-1].start()
        assert done[-1].reached.wait(180)
        server.kill()
        done[-1].join()
        server.start()
        for administrator in done:
            for name, token in administrator.tokens.items():
                expected = 401 if name in administrator.gone else 200
                assert pattern.ask(service, token, "/orders")[0] == expected, name
    assert all(administrator.gone and len(administrator.tokens) > 2 for administrator in done)
