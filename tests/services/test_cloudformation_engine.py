"""The engine over a small service: order, updates, replacement, rollback, deletion, crashes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.errors import AwsError
from cumulet.kernel.outcome import EffectFailed
from cumulet.services.cloudformation import SERVICE
from cumulet.testing.inprocess import InProcess

from .cloudformation_fake import FAKE

Json = dict[str, Any]


async def _remote(span: Any, name: str, value: Any) -> Any:
    await asyncio.sleep(0)
    if value == "fail":
        raise EffectFailed("Down", "The remote end is down.")
    return f"remote {value}"


class Stacks:
    """A cloud with CloudFormation and the fake service, and short words for what the tests do."""

    def __init__(self, cloud: InProcess) -> None:
        self.cloud = cloud

    async def cf(self, operation: str, **request: Any) -> Any:
        return await self.cloud.call("cloudformation", operation, request)

    async def create(self, resources: Json, name: str = "s", run_s: float = 0, **request: Any) -> str:
        body = request.pop("body", None) or {"Resources": resources, **request.pop("sections", {})}
        answer = await self.cf("CreateStack", StackName=name, TemplateBody=json.dumps(body), **request)
        await self.settle(run_s)
        return str(answer["StackId"])

    async def update(self, resources: Json, name: str = "s", run_s: float = 0, **request: Any) -> None:
        body = {"Resources": resources, **request.pop("sections", {})}
        await self.cf("UpdateStack", StackName=name, TemplateBody=json.dumps(body), **request)
        await self.settle(run_s)

    async def settle(self, run_s: float = 0) -> None:
        await self.cloud.quiet()
        if run_s:
            await self.cloud.advance(run_s)

    async def stack(self, name: str = "s") -> Json:
        return dict((await self.cf("DescribeStacks", StackName=name))["Stacks"][0])

    async def status(self, name: str = "s") -> str:
        return str((await self.stack(name))["StackStatus"])

    async def events(self, name: str = "s") -> list[tuple[str, str, str]]:
        found = (await self.cf("DescribeStackEvents", StackName=name))["StackEvents"]
        return [
            (e["LogicalResourceId"], e["ResourceStatus"], e.get("ResourceStatusReason", "")) for e in reversed(found)
        ]

    async def things(self) -> Json:
        found = (await self.cloud.call("fake", "ListThings", {}))["Things"]
        return {name.split("-")[1] if "-" in name else name: value for name, value in found.items()}

    async def log(self) -> list[str]:
        return list((await self.cloud.call("fake", "ListThings", {}))["Log"])


def run(test: Callable[[Stacks], Awaitable[None]], folder: Path | None = None) -> None:
    async def main() -> None:
        async with InProcess([SERVICE, FAKE], {"fake.remote": _remote}, folder=folder) as cloud:
            await test(Stacks(cloud))

    asyncio.run(main())


def thing(value: Any = "v", kind: str = "Thing", **more: Any) -> Json:
    properties = {"Value": value, **more.pop("properties", {})}
    return {"Type": f"Fake::A::{kind}", "Properties": properties, **more}


def test_resources_are_created_after_what_they_refer_to() -> None:
    async def test(s: Stacks) -> None:
        await s.create(
            {
                "A": thing({"Fn::Sub": "see ${B.Arn}"}),
                "B": thing({"Ref": "C"}),
                "C": thing(),
                "D": thing(DependsOn=["A"]),
            }
        )
        assert await s.status() == "CREATE_COMPLETE"
        assert [line.split("-")[1] for line in await s.log()] == ["C", "B", "A", "D"]
        things = await s.things()
        assert things["A"].startswith("see arn:fake:s-B-")
        assert (await s.events())[:3] == [
            ("s", "CREATE_IN_PROGRESS", "User Initiated"),
            ("C", "CREATE_IN_PROGRESS", ""),
            ("C", "CREATE_IN_PROGRESS", "Resource creation Initiated"),
        ]

    run(test)


def test_a_resource_that_takes_time_is_awaited_and_gives_late_attributes() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing(kind="Slow"), "B": thing({"Fn::GetAtt": ["A", "Endpoint"]})})
        assert await s.status() == "CREATE_IN_PROGRESS"
        assert "B" not in await s.things()
        await s.cloud.advance(40)
        assert await s.status() == "CREATE_COMPLETE"
        assert (await s.things())["B"].startswith("late-s-A-")

    run(test)


def test_a_failure_rolls_back_all_that_was_created() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing(), "B": thing("fail", DependsOn="A"), "C": thing(DependsOn="B")})
        stack = await s.stack()
        assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
        assert await s.things() == {}
        events = await s.events()
        assert (
            "s",
            "ROLLBACK_IN_PROGRESS",
            "The following resource(s) failed to create: [B]. Rollback requested by user.",
        ) in events
        failure = next(reason for name, status, reason in events if (name, status) == ("B", "CREATE_FAILED"))
        assert "The value is bad. (Service: Fake, Status Code: 400" in failure
        assert not any(name == "C" for name, _, _ in events)

    run(test)


def test_a_create_of_several_calls_leaves_nothing_when_the_last_one_fails() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing(properties={"Second": "fail"})}, OnFailure="DO_NOTHING")
        assert await s.status() == "CREATE_FAILED"
        assert await s.things() == {}

    run(test)


def test_another_failure_cancels_what_waits() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing(kind="Slow"), "B": thing("fail", DependsOn="C"), "C": thing()})
        assert await s.status() == "ROLLBACK_COMPLETE"
        assert ("A", "CREATE_FAILED", "Resource creation cancelled") in await s.events()
        assert await s.things() == {}

    run(test)


@pytest.mark.parametrize(("setting", "status", "left"), [
    ({"OnFailure": "DO_NOTHING"}, "CREATE_FAILED", True), ({"DisableRollback": True}, "CREATE_FAILED", True),
    ({"OnFailure": "DELETE"}, "DELETE_COMPLETE", False), ({"OnFailure": "ROLLBACK"}, "ROLLBACK_COMPLETE", False),
])  # fmt: skip
def test_on_failure_says_what_becomes_of_the_rest(setting: Json, status: str, left: bool) -> None:
    async def test(s: Stacks) -> None:
        stack_id = await s.create({"A": thing(), "B": thing("fail", DependsOn="A")}, **setting)
        assert await s.status(stack_id) == status
        assert ("A" in await s.things()) == left

    run(test)


def test_an_update_changes_in_place_what_changed_and_nothing_else() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing("1"), "B": thing("2"), "C": thing({"Fn::GetAtt": ["A", "Value"]})})
        before = len(await s.events())
        await s.update({"A": thing("x"), "B": thing("2"), "C": thing({"Fn::GetAtt": ["A", "Value"]})})
        assert await s.things() == {"A": "x", "B": "2", "C": "x"}
        assert [(name, status) for name, status, _ in (await s.events())[before:]] == [
            ("s", "UPDATE_IN_PROGRESS"),
            ("A", "UPDATE_IN_PROGRESS"),
            ("A", "UPDATE_COMPLETE"),
            ("C", "UPDATE_IN_PROGRESS"),
            ("C", "UPDATE_COMPLETE"),
            ("s", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
            ("s", "UPDATE_COMPLETE"),
        ]

    run(test)


def test_an_update_replaces_by_creating_first_and_deleting_in_the_clean_up() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing("1", properties={"Name": "old"}), "B": thing({"Ref": "A"})})
        await s.update({"A": thing("1", properties={"Name": "new"}), "B": thing({"Ref": "A"})})
        assert await s.status() == "UPDATE_COMPLETE"
        log = await s.log()
        assert log.index("create new") < log.index("delete old")
        things = await s.things()
        assert (things["B"], "old" in things) == ("new", False)

    run(test)


def test_an_update_adds_and_removes() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing(), "B": thing({"Ref": "A"}), "K": thing(DeletionPolicy="Retain")})
        await s.update({"C": thing("new")})
        things = await s.things()
        assert sorted(things) == ["C", "K"]
        assert ("K", "DELETE_SKIPPED", "") in await s.events()
        listed = (await s.cf("ListStackResources", StackName="s"))["StackResourceSummaries"]
        assert [r["LogicalResourceId"] for r in listed] == ["C"]

    run(test)


def test_a_failed_update_restores_the_old_properties() -> None:
    async def test(s: Stacks) -> None:
        old = {
            "A": thing("1"),
            "N": thing("1", properties={"Name": "old"}),
            "B": thing({"Ref": "N"}, DependsOn="A"),
            "G": thing("g"),
        }
        await s.create(old)
        before = await s.things()
        new = {
            "A": thing("2"), "N": thing("1", properties={"Name": "new"}), "B": thing({"Ref": "N"}, DependsOn="A"),
            "X": thing("x"), "Z": thing("fail", DependsOn=["A", "B", "X"]),
        }  # fmt: skip
        await s.update(new)
        assert await s.status() == "UPDATE_ROLLBACK_COMPLETE"
        assert await s.things() == before
        await s.update({**old, "A": thing("3")})
        assert await s.status() == "UPDATE_COMPLETE"
        assert (await s.things())["A"] == "3"

    run(test)


def test_a_rollback_that_fails_can_be_continued() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing("1"), "B": thing("1")})
        name = next(line.split()[1] for line in await s.log() if "-A-" in line)
        template = {"Resources": {"A": thing("2"), "B": thing("fail", DependsOn="A", properties={"Tags": []})}}
        await s.cloud.call("fake", "DeleteThing", {"Name": name})
        await s.cf("UpdateStack", StackName="s", TemplateBody=json.dumps(template))
        await s.settle()
        assert await s.status() == "UPDATE_ROLLBACK_FAILED"
        await s.cloud.call("fake", "CreateThing", {"Name": name, "Value": "1"})
        await s.cf("ContinueUpdateRollback", StackName="s")
        await s.settle()
        assert await s.status() == "UPDATE_ROLLBACK_COMPLETE"

    run(test)


def test_a_kept_failed_update_can_be_rolled_back_later() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing("1")})
        await s.update({"A": thing("2"), "B": thing("fail", DependsOn="A")}, DisableRollback=True)
        assert (await s.status(), (await s.things())["A"]) == ("UPDATE_FAILED", "2")
        await s.cf("RollbackStack", StackName="s")
        await s.settle()
        assert (await s.status(), await s.things()) == ("UPDATE_ROLLBACK_COMPLETE", {"A": "1"})

    run(test)


def test_nothing_to_update_is_an_error_but_outputs_alone_are_an_update() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing()})
        with pytest.raises(AwsError, match=r"^No updates are to be performed\.$"):
            await s.update({"A": thing()}, sections={"Description": "other words"})
        await s.update({"A": thing()}, sections={"Outputs": {"O": {"Value": {"Fn::GetAtt": ["A", "Deep.Er"]}}}})
        assert (await s.stack())["Outputs"] == [{"OutputKey": "O", "OutputValue": "down"}]

    run(test)


def test_new_stack_tags_reach_the_resources() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing()}, Tags=[{"Key": "team", "Value": "one"}])
        await s.update({"A": thing()}, Tags=[{"Key": "team", "Value": "two"}])
        (tags,) = (await s.cloud.call("fake", "ListThings", {}))["Tags"].values()
        assert (tags["team"], tags["aws:cloudformation:logical-id"]) == ("two", "A")

    run(test)


def test_a_deletion_goes_backwards_and_tolerates_what_is_gone_already() -> None:
    async def test(s: Stacks) -> None:
        stack_id = await s.create({"A": thing(), "B": thing({"Ref": "A"}), "C": thing({"Ref": "B"})})
        await s.cloud.call(
            "fake", "DeleteThing", {"Name": next(line.split()[1] for line in await s.log() if "-B-" in line)}
        )
        await s.cf("DeleteStack", StackName="s")
        await s.settle()
        assert [line.split("-")[1] for line in await s.log() if line.startswith("delete")] == ["B", "C", "A"]
        assert await s.status(stack_id) == "DELETE_COMPLETE"
        with pytest.raises(AwsError, match="Stack with id s does not exist"):
            await s.stack()
        await s.cf("DeleteStack", StackName="s")
        await s.create({"A": thing()})
        assert await s.status() == "CREATE_COMPLETE"

    run(test)


def test_a_deletion_that_fails_can_retain_what_sticks() -> None:
    async def test(s: Stacks) -> None:
        stack_id = await s.create({"A": thing("sticky"), "B": thing({"Ref": "A"})})
        with pytest.raises(AwsError, match="only when the stack is in DELETE_FAILED"):
            await s.cf("DeleteStack", StackName="s", RetainResources=["A"])
        await s.cf("DeleteStack", StackName="s")
        await s.settle()
        stack = await s.stack()
        assert (stack["StackStatus"], stack["StackStatusReason"]) == (
            "DELETE_FAILED", "The following resource(s) failed to delete: [A]. ",
        )  # fmt: skip
        await s.cf("DeleteStack", StackName="s", RetainResources=["A"])
        await s.settle()
        assert await s.status(stack_id) == "DELETE_COMPLETE"
        assert list(await s.things()) == ["A"]

    run(test)


def test_a_stack_can_be_deleted_while_it_is_created() -> None:
    async def test(s: Stacks) -> None:
        stack_id = await s.create({"A": thing(kind="Slow"), "B": thing({"Ref": "A"})})
        await s.cf("DeleteStack", StackName="s")
        await s.settle()
        assert (await s.status(stack_id), await s.things()) == ("DELETE_COMPLETE", {})

    run(test)


def test_an_update_can_be_cancelled() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing("1")})
        await s.update({"A": thing("2"), "B": thing(kind="Slow", DependsOn="A")})
        assert await s.status() == "UPDATE_IN_PROGRESS"
        await s.cf("CancelUpdateStack", StackName="s")
        await s.settle()
        assert (await s.status(), await s.things()) == ("UPDATE_ROLLBACK_COMPLETE", {"A": "1"})

    run(test)


def test_a_creation_that_takes_too_long_is_rolled_back() -> None:
    async def test(s: Stacks) -> None:
        never = {"A": thing(kind="Slow")}
        for index in range(5):
            never[f"B{index}"] = thing(kind="Slow", DependsOn=f"B{index - 1}" if index else "A")
        await s.create(never, TimeoutInMinutes=1, run_s=70)
        assert await s.status() == "ROLLBACK_COMPLETE"
        assert any("exceeded the specified timeout" in reason for _, _, reason in await s.events())

    run(test)


def test_termination_protection_keeps_a_stack() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing()}, EnableTerminationProtection=True)
        with pytest.raises(AwsError, match=r"Stack \[s\] cannot be deleted while TerminationProtection is enabled"):
            await s.cf("DeleteStack", StackName="s")
        await s.cf("UpdateTerminationProtection", StackName="s", EnableTerminationProtection=False)
        await s.cf("DeleteStack", StackName="s")
        await s.settle()
        assert await s.things() == {}

    run(test)


def test_a_resource_behind_an_effect_is_created_and_its_failure_is_the_stacks() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing("x", kind="Remote"), "B": thing({"Ref": "A"})})
        assert (await s.status(), (await s.things())["A"]) == ("CREATE_COMPLETE", "remote x")
        await s.create({"A": thing("fail", kind="Remote")}, name="t")
        assert await s.status("t") == "ROLLBACK_COMPLETE"

    run(test)


def test_policies_on_a_rolled_back_creation() -> None:
    async def test(s: Stacks) -> None:
        await s.create({
            "A": thing(DeletionPolicy="Retain"), "E": thing(DeletionPolicy="RetainExceptOnCreate"),
            "Z": thing("fail", DependsOn=["A", "E"]),
        })  # fmt: skip
        assert list(await s.things()) == ["A"]

    run(test)


def test_exports_are_imported_and_kept_while_in_use() -> None:
    async def test(s: Stacks) -> None:
        out = {"Outputs": {"O": {"Value": {"Ref": "A"}, "Export": {"Name": "shared"}}}}
        await s.create({"A": thing()}, sections=out)
        await s.create({"B": thing({"Fn::ImportValue": "shared"})}, name="user")
        assert (await s.things())["B"].startswith("s-A-")
        (export,) = (await s.cf("ListExports"))["Exports"]
        assert export["Name"] == "shared"
        assert (await s.cf("ListImports", ExportName="shared"))["Imports"] == ["user"]
        await s.update({"A": thing()}, sections={"Outputs": {"O": {"Value": {"Ref": "A"}}}})
        assert await s.status() == "UPDATE_ROLLBACK_COMPLETE"
        await s.cf("DeleteStack", StackName="s")
        await s.settle()
        stack = await s.stack()
        assert (stack["StackStatus"], "shared as it is in use by user" in stack["StackStatusReason"]) == (
            "DELETE_FAILED",
            True,
        )
        await s.cf("DeleteStack", StackName="user")
        await s.settle()
        await s.cf("DeleteStack", StackName="s")
        await s.settle()
        assert (await s.cf("ListExports"))["Exports"] == []

    run(test)


def test_an_export_belongs_to_one_stack() -> None:
    async def test(s: Stacks) -> None:
        out = {"Outputs": {"O": {"Value": "1", "Export": {"Name": "shared"}}}}
        await s.create({"A": thing()}, sections=out)
        await s.create({"A": thing()}, sections=out, name="t")
        assert await s.status("t") == "ROLLBACK_COMPLETE"
        assert any(
            r.startswith("Export with name shared is already exported by stack s.") for _, _, r in await s.events("t")
        )

    run(test)


def test_a_change_set_creates_and_another_updates() -> None:
    async def test(s: Stacks) -> None:
        body = json.dumps({"Resources": {"A": thing("1", properties={"Name": "n"}), "B": thing({"Ref": "A"})}})
        made = await s.cf(
            "CreateChangeSet", StackName="s", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body
        )
        assert await s.status() == "REVIEW_IN_PROGRESS"
        found = await s.cf("DescribeChangeSet", ChangeSetName=made["Id"])
        assert (found["Status"], found["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
        assert [c["ResourceChange"]["Action"] for c in found["Changes"]] == ["Add", "Add"]
        await s.cf("ExecuteChangeSet", ChangeSetName="c", StackName="s")
        await s.settle()
        assert await s.status() == "CREATE_COMPLETE"
        body = json.dumps({"Resources": {"A": thing("1", properties={"Name": "m"}), "B": thing({"Ref": "A"})}})
        await s.cf("CreateChangeSet", StackName="s", ChangeSetName="d", TemplateBody=body)
        found = await s.cf("DescribeChangeSet", ChangeSetName="d", StackName="s")
        changes = {c["ResourceChange"]["LogicalResourceId"]: c["ResourceChange"] for c in found["Changes"]}
        assert (changes["A"]["Action"], changes["A"]["Replacement"]) == ("Modify", "True")
        assert (changes["B"]["Replacement"], changes["B"]["Details"][0]["Evaluation"]) == ("False", "Dynamic")
        await s.cf("ExecuteChangeSet", ChangeSetName="d", StackName="s")
        await s.settle()
        assert (await s.things())["B"] == "m"
        summaries = (await s.cf("ListChangeSets", StackName="s"))["Summaries"]
        assert [c["ExecutionStatus"] for c in summaries] == ["EXECUTE_COMPLETE"]

    run(test)


def test_a_change_set_without_changes_fails_in_aws_words() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing()})
        body = json.dumps({"Resources": {"A": thing()}})
        await s.cf("CreateChangeSet", StackName="s", ChangeSetName="c", TemplateBody=body)
        found = await s.cf("DescribeChangeSet", ChangeSetName="c", StackName="s")
        assert (found["Status"], found["StatusReason"]) == (
            "FAILED",
            "The submitted information didn't contain changes. Submit different information to create a change set.",
        )
        with pytest.raises(AwsError) as error:
            await s.cf("ExecuteChangeSet", ChangeSetName="c", StackName="s")
        assert error.value.wire_code == "InvalidChangeSetStatus"
        await s.cf("DeleteChangeSet", ChangeSetName="c", StackName="s")
        with pytest.raises(AwsError) as error:
            await s.cf("DescribeChangeSet", ChangeSetName="c", StackName="s")
        assert error.value.wire_code == "ChangeSetNotFound"

    run(test)


def test_a_resource_keeps_its_type() -> None:
    async def test(s: Stacks) -> None:
        await s.create({"A": thing()})
        with pytest.raises(AwsError, match=r"modifies resource type of the following resources: \[A\]"):
            await s.update({"A": thing(kind="Needy")})
        assert await s.status() == "CREATE_COMPLETE"

    run(test)


def test_a_stack_that_was_only_reviewed_can_be_deleted() -> None:
    async def test(s: Stacks) -> None:
        body = json.dumps({"Resources": {"A": thing()}})
        made = await s.cf(
            "CreateChangeSet", StackName="s", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body
        )
        await s.cf("DeleteStack", StackName="s")
        await s.settle()
        assert await s.status(made["StackId"]) == "DELETE_COMPLETE"
        assert await s.things() == {}

    run(test)


def test_a_required_property_that_is_missing_is_refused_at_once() -> None:
    async def test(s: Stacks) -> None:
        with pytest.raises(AwsError, match=r"required key \[Value\] not found"):
            await s.create({"A": {"Type": "Fake::A::Needy"}})
        with pytest.raises(AwsError, match=r"Dynamic references \{\{resolve:ssm:...\}\} need ssm.GetParameter"):
            await s.create({"A": thing("{{resolve:ssm:/a:1}}")})
        assert (await s.cf("ListStacks"))["StackSummaries"] == []

    run(test)


GRAPHS = st.integers(1, 8).flatmap(
    lambda n: st.tuples(*(st.sets(st.integers(0, i - 1)) if i else st.just(set()) for i in range(n)))
)
VALUES = st.sampled_from(["a", "b", "c"])


def _graph(needs: tuple[set[int], ...], values: list[str], names: list[str]) -> Json:
    return {
        f"R{i}": thing(values[i % len(values)], properties={
            "Name": f"{names[i % len(names)]}{i}", "Tags": [{"Ref": f"R{j}"} for j in sorted(needed)],
        })
        for i, needed in enumerate(needs)
    }  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(needs=GRAPHS, values=st.lists(VALUES, min_size=1))
def test_any_graph_is_created_in_an_order_that_respects_it(needs: tuple[set[int], ...], values: list[str]) -> None:
    async def test(s: Stacks) -> None:
        await s.create(_graph(needs, values, ["n"]))
        order = [int(line.removeprefix("create n")) for line in await s.log()]
        assert sorted(order) == list(range(len(needs)))
        assert all(order.index(j) < order.index(i) for i, needed in enumerate(needs) for j in needed)
        await s.cf("DeleteStack", StackName="s")
        await s.settle()
        gone = [int(line.removeprefix("delete n")) for line in await s.log() if line.startswith("delete")]
        assert all(gone.index(i) < gone.index(j) for i, needed in enumerate(needs) for j in needed)

    run(test)


@settings(max_examples=15, deadline=None)
@given(first=GRAPHS, second=GRAPHS, values=st.tuples(st.lists(VALUES, min_size=1), st.lists(VALUES, min_size=1)),
       names=st.lists(st.sampled_from(["n", "m"]), min_size=1, max_size=3))  # fmt: skip
def test_any_update_comes_to_what_a_fresh_create_gives(
    first: tuple[set[int], ...], second: tuple[set[int], ...], values: tuple[list[str], list[str]], names: list[str]
) -> None:
    async def things(steps: list[Json]) -> Json:
        async with InProcess([SERVICE, FAKE]) as cloud:
            s = Stacks(cloud)
            await s.create(steps[0])
            for step in steps[1:]:
                if step != steps[0]:
                    await s.update(step)
                    assert await s.status() == "UPDATE_COMPLETE"
            return dict((await cloud.call("fake", "ListThings", {}))["Things"])

    async def main() -> None:
        old, new = _graph(first, values[0], ["n"]), _graph(second, values[1], names)
        assert await things([old, new]) == await things([new])

    asyncio.run(main())


def test_a_creation_goes_on_after_a_crash(tmp_path: Path) -> None:
    template = {f"R{i}": thing(str(i), kind="Slow", **({"DependsOn": f"R{i - 1}"} if i else {})) for i in range(4)}

    async def main() -> None:
        first = InProcess([SERVICE, FAKE], folder=tmp_path)
        await first.__aenter__()
        s = Stacks(first)
        await s.create(template, run_s=45)
        assert await s.status() == "CREATE_IN_PROGRESS"
        assert sorted(await s.things()) == ["R0", "R1"]
        first.pipeline.timers.stop()  # the process dies here: nothing more is run or written
        first.store.close()
        async with InProcess([SERVICE, FAKE], folder=tmp_path) as second:
            again = Stacks(second)
            await again.settle(300)
            assert await again.status() == "CREATE_COMPLETE"
            log = await again.log()
            assert [line.split("-")[1] for line in log] == ["R0", "R1", "R2", "R3"]

    asyncio.run(main())
