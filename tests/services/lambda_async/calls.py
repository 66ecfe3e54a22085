"""What the tests of queued events share: code of functions, and calls."""

import io
import zipfile

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/functions"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
ECHO = "def handler(event, context):\n    print('got', event)\n    return event\n"
FAILS = "def handler(event, context):\n    print('attempt', context.aws_request_id)\n    raise ValueError('no ' + str(event))\n"
PICKY = "def handler(event, context):\n    print('saw', event)\n    if event.get('bad'): raise ValueError('bad')\n"


def packed(code):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), code)
    return sink.getvalue()


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"]


def spans_of(cloud, trace_id):
    return cloud.cloud.pipeline.tracer.spans(trace_id)


def metric(aws, clock, name, statistic="Sum", advance=60, **dimensions):
    """One figure of the hour before now, all minutes together."""
    clock.advance(advance)
    dimensions = dimensions or {"FunctionName": "f"}
    got = aws("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda", MetricName=name, StartTime=clock.now() - 3600, EndTime=clock.now() + 60, Period=60,
        Statistics=[statistic], Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
    )["Datapoints"]  # fmt: skip
    figures = [point[statistic] for point in got]
    return sum(figures) if statistic in ("Sum", "SampleCount") else max(figures, default=None)
