"""What the tests of alarms share: putting alarms, letting minutes pass, looking at states."""

import pytest
from botocore.exceptions import ClientError

MINUTE, HOUR, DAY = 60, 3600, 86400
ARN = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:"
TOPIC = "arn:aws:sns:us-east-1:000000000000:ops"


class Desk:
    """An operator's desk, half a minute into a minute."""

    def __init__(self, client, clock):
        clock.advance(MINUTE - clock.now() % MINUTE + 30)
        self.client, self.clock = client, clock

    def alarm(self, name="a", **changes):
        """alarm("a", Threshold=5): an alarm on the sum of App/n, greater than 10 in one minute; None leaves a member out."""
        request = {
            "AlarmName": name, "Namespace": "App", "MetricName": "n", "Statistic": "Sum", "Period": 60,
            "EvaluationPeriods": 1, "Threshold": 10.0, "ComparisonOperator": "GreaterThanThreshold", **changes,
        }  # fmt: skip
        self.client.put_metric_alarm(**{member: value for member, value in request.items() if value is not None})

    def minutes(self, *values, name="n", **datum):
        """minutes(1, None, 3): a value in each of the next minutes, None for a minute without one."""
        for value in values:
            if value is not None:
                data = [{"MetricName": name, "Value": float(value), **datum}]
                self.client.put_metric_data(Namespace="App", MetricData=data)
            self.clock.advance(MINUTE)

    def described(self, name="a"):
        answer = self.client.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        (one,) = answer["MetricAlarms"] + answer["CompositeAlarms"]
        return one

    def state(self, name="a"):
        return self.described(name)["StateValue"]

    def history(self, name="a", kind="StateUpdate"):
        items = self.client.describe_alarm_history(
            AlarmName=name, HistoryItemType=kind, ScanBy="TimestampAscending", MaxRecords=100
        )
        return items["AlarmHistoryItems"]


def refused(action, *arguments, **request):
    """The code and message of the error that a call must raise."""
    with pytest.raises(ClientError) as caught:
        action(*arguments, **request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]
