"""The serverless transform's process: kept warm, replaced when it dies, ended when it is no longer needed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cumulet.kernel.outcome import EffectFailed, EffectInterrupted
from cumulet.kernel.trace import Tracer
from cumulet.runtimes.sam import SamTransformer

SPAN = Tracer().begin("sam.transform", "effect", 0.0)


def template(description: str = "", **properties: Any) -> bytes:
    function = {"CodeUri": "s3://b/k", "Handler": "a.b", "Runtime": "python3.12", **properties}
    return json.dumps({
        "Transform": "AWS::Serverless-2016-10-31", "Description": description,
        "Resources": {"F": {"Type": "AWS::Serverless::Function", "Properties": function}},
    }).encode()  # fmt: skip


def run(test: Callable[[SamTransformer], Awaitable[None]], kept_warm_s: float = 60) -> None:
    async def main() -> None:
        transformer = SamTransformer(kept_warm_s)
        try:
            await test(transformer)
        finally:
            await transformer.close()
        assert transformer._worker is None

    asyncio.run(main())


async def transformed(transformer: SamTransformer, body: bytes, **parameters: Any) -> dict[str, Any]:
    return dict(json.loads(await transformer.transform(SPAN, body, parameters, "eu-central-1", "000000000000")))


def test_a_worker_is_kept_and_a_dead_one_is_replaced() -> None:
    async def test(transformer: SamTransformer) -> None:
        first = await transformed(transformer, template("1", Policies=["AWSLambdaVPCAccessExecutionRole"]))
        arns = first["Resources"]["FRole"]["Properties"]["ManagedPolicyArns"]
        assert "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole" in arns
        worker = transformer._worker
        await transformed(transformer, template("2"))
        assert worker is not None
        assert transformer._worker is worker
        os.kill(worker.pid, signal.SIGKILL)
        await worker.wait()
        assert "F" in (await transformed(transformer, template("3")))["Resources"]

    run(test)


def test_an_answer_is_remembered_by_template_and_parameters() -> None:
    async def test(transformer: SamTransformer) -> None:
        body = template(AutoPublishAlias={"Ref": "Stage"})
        body = json.dumps({**json.loads(body), "Parameters": {"Stage": {"Type": "String"}}}).encode()
        live = await transformed(transformer, body, Stage="live")
        assert live["Resources"]["FAliaslive"]["Type"] == "AWS::Lambda::Alias"
        assert "FAliastest" in (await transformed(transformer, body, Stage="test"))["Resources"]
        await transformer._end()
        assert await transformed(transformer, body, Stage="live") == live
        assert transformer._worker is None

    run(test)


def test_what_the_translator_finds_wrong_is_told_in_its_words() -> None:
    async def test(transformer: SamTransformer) -> None:
        with pytest.raises(EffectFailed) as error:
            await transformed(transformer, template(Runtime={"no": "runtime"}, Nonsense=1))
        assert error.value.message.startswith(
            "Invalid Serverless Application Specification document. Number of errors found: 1."
        )

    run(test)


def test_an_idle_worker_ends() -> None:
    async def test(transformer: SamTransformer) -> None:
        await transformed(transformer, template("idle"))
        worker = transformer._worker
        assert worker is not None
        await asyncio.wait_for(worker.wait(), 60)
        assert transformer._worker is None

    run(test, kept_warm_s=0.0)


def test_a_transform_that_is_asked_for_as_the_idle_worker_ends_has_another_worker() -> None:
    async def test(transformer: SamTransformer) -> None:
        await transformed(transformer, template("warm"))
        transformer._cool()  # its time is over, in the turn of the loop in which somebody asks
        assert "F" in (await transformed(transformer, template("at that moment")))["Resources"]

    run(test)


def test_a_transform_that_the_servers_stop_interrupts_has_not_failed() -> None:
    async def test(transformer: SamTransformer) -> None:
        await transformed(transformer, template("warm"))
        asked = asyncio.ensure_future(transformed(transformer, template("stopped")))
        await asyncio.sleep(0)  # it asks the worker
        await transformer.close()
        with pytest.raises(EffectInterrupted):
            await asked
        with pytest.raises(EffectInterrupted):
            await transformed(transformer, template("too late"))

    run(test)


def test_an_update_that_was_cancelled_during_its_transform_does_not_meddle_with_the_next_one(
    aws: Any, clock: Any, cloud: Any
) -> None:
    stacks, performers = aws("cloudformation"), cloud.cloud.pipeline.performers
    begin, ends = performers["sam.transform"], [asyncio.Event() for _ in range(3)]
    ends[0].set()
    following = iter(ends)

    async def held(*args: Any) -> bytes:
        end = next(following)
        done: bytes = await begin(*args)
        await end.wait()
        if end is ends[1]:
            raise EffectFailed("TransformFailed", "no")
        return done

    def body(*tables: str) -> dict[str, Any]:
        resources = {name: {"Type": "AWS::Serverless::SimpleTable"} for name in tables}
        text = json.dumps({"Transform": "AWS::Serverless-2016-10-31", "Resources": resources})
        return {"StackName": "app", "TemplateBody": text, "Capabilities": ["CAPABILITY_AUTO_EXPAND"]}

    async def end(number: int) -> None:
        ends[number].set()

    def tables() -> list[str]:
        return [name.split("-")[1] for name in aws("dynamodb").list_tables()["TableNames"]]

    performers["sam.transform"] = held
    try:
        stacks.create_stack(**body("A"))
        clock.advance(60)
        stacks.update_stack(**body("A", "Cancelled"))
        stacks.cancel_update_stack(StackName="app")
        stacks.update_stack(**body("A", "B"))
        cloud.run(end(1))
        while cloud.cloud.pipeline.busy > 1:  # the first one's is settled, the second one's is under way
            stacks.describe_stacks(StackName="app")
        assert stacks.describe_stacks(StackName="app")["Stacks"][0]["StackStatus"] == "UPDATE_IN_PROGRESS"
        assert tables() == ["A"]
    finally:
        cloud.run(end(2))
        performers["sam.transform"] = begin
    clock.advance(60)
    assert stacks.describe_stacks(StackName="app")["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"
    assert tables() == ["A", "B"]


@pytest.mark.crash
def test_a_stack_whose_transform_the_servers_stop_interrupts_is_made_after_the_next_start(server_process: Any) -> None:
    server = server_process("--clock", "virtual").start()
    stacks = server.client("cloudformation")
    body = json.dumps({
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {"Items": {"Type": "AWS::Serverless::SimpleTable"}},
    })  # fmt: skip
    stacks.create_stack(StackName="app", TemplateBody=body, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    server.stop()
    server.start()
    server.advance(60)
    assert stacks.describe_stacks(StackName="app")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
