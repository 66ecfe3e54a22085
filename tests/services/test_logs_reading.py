"""Reading events: any mix of overlapping batches reads like one sorted list, from any place, in either direction."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.logs import SERVICE as LOGS
from cumulet.testing.inprocess import InProcess

STREAM = {"logGroupName": "g", "logStreamName": "s"}
batches = st.lists(st.lists(st.integers(0, 5000), min_size=1, max_size=4), min_size=1, max_size=8)


async def filled(cloud, found):
    """Put the batches; returns the messages in the order in which they are to be read."""
    base = int(cloud.clock.now() * 1000) - 10_000
    await cloud.call("logs", "CreateLogGroup", {"logGroupName": "g"})
    await cloud.call("logs", "CreateLogStream", STREAM)
    expected = []
    for number, times in enumerate(found):
        events = [{"timestamp": base + at, "message": f"{number}.{index}"} for index, at in enumerate(sorted(times))]
        await cloud.call("logs", "PutLogEvents", {**STREAM, "logEvents": events})
        expected += [(event["timestamp"], number, index, event["message"]) for index, event in enumerate(events)]
    return base, sorted(expected)


def texts(answer):
    return [event["message"] for event in answer["events"]]


@settings(max_examples=40, deadline=None)
@given(batches, st.integers(1, 5), st.integers(0, 5000), st.integers(0, 5000))
def test_pages_in_both_directions_and_ranges_agree_with_a_sorted_list(found, limit, low, high):
    async def story():
        async with InProcess([LOGS]) as cloud:
            base, expected = await filled(cloud, found)
            everything = [message for *_, message in expected]
            forwards = await paged(cloud, limit, True, "nextForwardToken")
            assert [text for page in forwards for text in page] == everything
            back = await paged(cloud, limit, False, "nextBackwardToken")
            assert [text for page in reversed(back) for text in page] == everything
            window = {"startTime": base + low, "endTime": base + high}
            inside = await cloud.call("logs", "GetLogEvents", {**STREAM, **window, "startFromHead": True})
            assert texts(inside) == [message for at, *_, message in expected if base + low <= at < base + high]
            searched = await cloud.call("logs", "FilterLogEvents", {"logGroupName": "g", **window})
            assert texts(searched) == [message for at, *_, message in expected if base + low <= at <= base + high]
            described = await cloud.call("logs", "DescribeLogStreams", {"logGroupName": "g"})
            assert described["logStreams"][0]["firstEventTimestamp"] == expected[0][0]
            assert described["logStreams"][0]["lastEventTimestamp"] == expected[-1][0]

    asyncio.run(story())


async def paged(cloud, limit, head, token):
    pages, request = [], {**STREAM, "limit": limit, "startFromHead": head}
    while True:
        answer = await cloud.call("logs", "GetLogEvents", request)
        if answer[token] == request.get("nextToken"):
            return pages
        pages.append(texts(answer))
        request["nextToken"] = answer[token]
