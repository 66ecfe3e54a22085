"""The Strangler deployed before an old application, moved route by route, and killed. Checklist: B10.1, B10.2, B10.3, A3, H10."""

import http.client
import json
import random
import threading
import time

import pytest

MOVED = {"Orders": "serverless", "Customers": "serverless"}


@pytest.fixture
def old(pattern):
    with pattern.legacy() as server:
        yield server


def test_the_old_application_is_reached_with_everything_that_was_asked(pattern, cloud, old):
    """B10.2: method, path, query, headers and body go through HTTP_PROXY, and status, headers and body come back."""
    service = pattern.deploy(cloud.endpoint, old.url)
    assert pattern.ask(service, "GET", "/")[2] == "<h1>The shop</h1>"
    status, headers, text = pattern.ask(service, "GET", "/orders/1?verbose=1&tag=a%20b&tag=c", **{"X-Customer": "ann"})
    assert (status, headers["x-served-by"], json.loads(text)) == (200, "legacy", {"id": "1", "item": "anvil"})
    method, path, sent = old.asked[-1]
    assert (method, sent["x-customer"]) == ("GET", "ann")
    assert path.replace("+", "%20") == "/orders/1?verbose=1&tag=a%20b&tag=c"
    assert pattern.ask(service, "POST", "/orders", {"id": "2"})[0] == 201 and "/orders/2" in old.documents
    assert pattern.ask(service, "PUT", "/orders/2", {"item": "hammer"})[0] == 200
    assert old.documents["/orders/2"] == {"id": "2", "item": "hammer"}
    assert pattern.ask(service, "GET", "/deep/er/nothing")[0] == 404 and old.asked[-1][1] == "/deep/er/nothing"
    status, headers, text = pattern.ask(service, "GET", "/broken")
    assert (status, headers["content-type"], text) == (500, "text/html", "<h1>it broke</h1>")


def test_an_old_application_that_is_away_is_a_504(pattern, cloud):
    """B10.2: its errors are its own; that it is away is the front's to say."""
    with pattern.legacy() as server:
        service = pattern.deploy(cloud.endpoint, server.url)
    status, _, text = pattern.ask(service, "GET", "/orders/1")
    assert (status, json.loads(text)["message"]) == (504, "Network error communicating with endpoint")


def test_http_and_aws_service_integrations_give_it_a_new_face_without_code(pattern, cloud, old):
    """B10.1: an HTTP integration maps the old answer, an AWS Service integration writes to a queue."""
    service = pattern.deploy(cloud.endpoint, old.url)
    assert pattern.ask(service, "GET", "/health")[::2] == (200, '{"legacy": "well"}')
    old.status = 500
    assert pattern.ask(service, "GET", "/health")[::2] == (503, '{"legacy": "unwell"}')
    said = {"text": "good & cheap = ü+1"}
    assert pattern.ask(service, "POST", "/feedback", said)[::2] == (202, '{"kept": true}')
    got = service.client("sqs").receive_message(QueueUrl=service.outputs["Feedback"])["Messages"]
    assert [json.loads(message["Body"]) for message in got] == [said]
    assert all(path != "/feedback" for _, path, _ in old.asked)


def test_routes_move_one_by_one_and_the_rest_stays(pattern, cloud, old):
    """B10.3: all requests default to the old application; a more specific route wins, and can be moved back."""
    steps = [{}, {"Orders": "serverless"}, MOVED, {"Orders": "legacy", "Customers": "serverless"}]
    for moved in steps:
        service = pattern.deploy(cloud.endpoint, old.url, **{"Orders": "legacy", "Customers": "legacy", **moved})
        served = [pattern.ask(service, "GET", path)[1]["x-served-by"] for path in ("/orders/1", "/customers/ann", "/")]
        assert served == [moved.get("Orders", "legacy"), moved.get("Customers", "legacy"), "legacy"]
    assert pattern.ask(service, "GET", "/customers")[0] == 404, "only the path that moved has moved"
    assert old.asked[-1][1] == "/customers"


def test_a_route_moves_without_downtime(pattern, cloud, old):
    """B10.3: whoever asks during the move gets the old answer or the new one, and never an error."""
    service = pattern.deploy(cloud.endpoint, old.url)
    got, ready, moved = [], threading.Event(), threading.Event()

    def client():
        while not moved.is_set() or got[-1][1]["x-served-by"] == "legacy":
            got.append(pattern.ask(service, "GET", "/orders/1"))
            ready.set()

    thread = threading.Thread(target=client)
    thread.start()
    assert ready.wait(60)
    pattern.deploy(cloud.endpoint, old.url, Orders="serverless")
    moved.set()
    thread.join(60)
    assert not thread.is_alive()
    assert {status for status, _, _ in got} == {200} and {json.loads(text)["item"] for _, _, text in got} == {"anvil"}
    served = [headers["x-served-by"] for _, headers, _ in got]
    assert served == sorted(served), "the old one first, then the new one, and not back"


def test_data_moves_with_the_first_request_and_stays(pattern, cloud, old):
    """H10: an order is brought over when it is asked for; afterwards the old application may change it or be away."""
    service = pattern.deploy(cloud.endpoint, old.url, **MOVED)
    before = len(old.asked)
    assert pattern.ask(service, "PUT", "/orders/1", {"item": "bellows"})[0] == 200
    assert json.loads(pattern.ask(service, "GET", "/orders/1")[2]) == {"id": "1", "item": "bellows"}
    assert len(old.asked) == before + 1 and old.documents["/orders/1"]["item"] == "anvil"
    assert pattern.ask(service, "POST", "/orders", {"id": "1"})[0] == 409
    assert pattern.ask(service, "POST", "/orders", {"id": "3"})[0] == 201 and "/orders/3" not in old.documents
    assert pattern.ask(service, "GET", "/orders/none")[0] == 404
    assert pattern.ask(service, "DELETE", "/orders/1")[0] == 405, "a path moves with all its methods"
    assert json.loads(pattern.ask(service, "GET", "/customers/ann")[2])["since"] == 1998
    old.documents.clear()
    assert json.loads(pattern.ask(service, "GET", "/customers/ann")[2])["since"] == 1998


class Client(threading.Thread):
    """Makes orders until the server is gone; `accepted` are those that were acknowledged, `reached` is set after `enough`."""

    def __init__(self, pattern, service):
        super().__init__()
        self.pattern, self.service = pattern, service
        self.accepted, self.enough, self.reached = [], 10, threading.Event()

    def run(self):
        for number in range(100, 5000):
            try:
                status, _, text = self.pattern.ask(self.service, "POST", "/orders", {"id": str(number)})
            except (OSError, http.client.HTTPException):
                return
            assert status == 201, text
            self.accepted.append(str(number))
            if len(self.accepted) >= self.enough:
                self.reached.set()


def settled(service):
    """Wait until the stack is at rest; each question is a request to another process."""
    deadline = time.monotonic() + 180
    while (status := stack_of(service)["StackStatus"]).endswith("IN_PROGRESS"):
        assert time.monotonic() < deadline, status


def stack_of(service):
    return service.client("cloudformation").describe_stacks(StackName=service.stack)["Stacks"][0]


@pytest.mark.crash
def test_a_move_and_its_orders_survive_sigkill(pattern, server_process, old):
    """A3, B10.3: killed at a random moment while orders arrive and a route moves: the front is whole, every acknowledged
    order is there, and the move can go on."""
    server = server_process().start()
    service = pattern.deploy(server.endpoint, old.url, Orders="serverless")
    client = Client(pattern, service)
    client.start()
    template = service.client("cloudformation").get_template(StackName=service.stack)["TemplateBody"]
    assert client.reached.wait(60)
    given = {**{one["ParameterKey"]: one["ParameterValue"] for one in stack_of(service)["Parameters"]}, **MOVED}
    service.client("cloudformation").update_stack(
        StackName=service.stack,
        TemplateBody=template if isinstance(template, str) else json.dumps(template),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    client.reached.clear()
    client.enough = len(client.accepted) + random.randrange(1, 30)
    assert client.reached.wait(60)
    server.kill()
    client.join(60)
    server.start()
    settled(service)
    assert stack_of(service)["StackStatus"] == "UPDATE_COMPLETE", "what was acknowledged goes on after the crash"
    for number in client.accepted:
        assert pattern.ask(service, "GET", f"/orders/{number}")[::2] == (200, json.dumps({"id": number})), number
    assert pattern.ask(service, "GET", "/customers/ann")[1]["x-served-by"] == "serverless"
