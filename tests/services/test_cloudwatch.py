"""CloudWatch's metrics and dashboards, as boto3 sees them."""

import gzip
import json
import math
import urllib.parse
import urllib.request
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.cloudwatch.model import Point
from cumulet.services.cloudwatch.values import merged, point_of, statistic

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.fixture
def client(aws):
    return aws("cloudwatch")


@pytest.fixture
def put(client):
    def put(name, *values, namespace="App", **datum):
        data = [{"MetricName": name, "Value": float(value), **datum} for value in values]
        client.put_metric_data(Namespace=namespace, MetricData=data)

    return put


@pytest.fixture
def ask(client, clock):
    """Statistics of the last ten minutes, by minute."""

    def ask(name, *names, period=MINUTE, back=600, ahead=MINUTE, **request):
        basic = [each for each in names if each in ("Sum", "Average", "Minimum", "Maximum", "SampleCount")]
        kind = {"Statistics": basic} if basic else {"ExtendedStatistics": list(names)}
        now = clock.now()
        request = {"Namespace": "App", "MetricName": name, "Period": period, **kind, **request}
        answer = client.get_metric_statistics(StartTime=now - back, EndTime=now + ahead, **request)
        return sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])

    return ask


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def at(moment):
    return datetime.fromtimestamp(moment, UTC)


def whole_minute(clock):
    """Move to the beginning of a minute."""
    clock.advance(MINUTE - clock.now() % MINUTE)
    return clock.now()


# publishing


def test_values_of_a_minute_become_one_data_point(put, ask, clock):
    start = whole_minute(clock)
    put("Latency", 1, 2, 3, 10, Unit="Milliseconds")
    (point,) = ask("Latency", "Sum", "Average", "Minimum", "Maximum", "SampleCount")
    assert point == {
        "Timestamp": at(start), "Sum": 16.0, "Average": 4.0, "Minimum": 1.0, "Maximum": 10.0, "SampleCount": 4.0,
        "Unit": "Milliseconds",
    }  # fmt: skip


def test_units_are_aggregated_separately(put, ask):
    put("Size", 1, Unit="Bytes")
    put("Size", 2, Unit="Kilobytes")
    put("Size", 3)
    assert {point["Unit"]: point["Sum"] for point in ask("Size", "Sum")} == {
        "Bytes": 1.0,
        "Kilobytes": 2.0,
        "None": 3.0,
    }
    assert [point["Sum"] for point in ask("Size", "Sum", Unit="Bytes")] == [1.0]
    assert ask("Size", "Sum", Unit="Bits") == []


def test_each_combination_of_dimensions_is_a_metric_of_its_own_in_any_order(put, ask):
    one, two = {"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}
    put("Hits", 1)
    put("Hits", 2, Dimensions=[one])
    put("Hits", 4, Dimensions=[one, two])
    put("Hits", 8, Dimensions=[two, one])
    assert [point["Sum"] for point in ask("Hits", "Sum")] == [1.0]
    assert [point["Sum"] for point in ask("Hits", "Sum", Dimensions=[one])] == [2.0]
    assert [point["Sum"] for point in ask("Hits", "Sum", Dimensions=[two, one])] == [12.0]


def test_sets_of_values_and_statistic_sets_are_counted_as_what_they_stand_for(client, ask):
    data = [
        {"MetricName": "n", "Values": [1.0, 5.0], "Counts": [2.0, 3.0]},
        {"MetricName": "n", "Values": [7.0, 8.0]},
        {"MetricName": "n", "StatisticValues": {"SampleCount": 10, "Sum": 100, "Minimum": 0.5, "Maximum": 60}},
    ]
    client.put_metric_data(Namespace="App", MetricData=data)
    (point,) = ask("n", "Sum", "Minimum", "Maximum", "SampleCount")
    assert (point["SampleCount"], point["Sum"]) == (17.0, 2 + 15 + 15 + 100)
    assert (point["Minimum"], point["Maximum"]) == (0.5, 60.0)


def test_percentiles_are_not_there_when_a_statistic_set_hides_the_values(client, put, ask):
    put("n", 1, 2)
    assert ask("n", "p50")[0]["ExtendedStatistics"] == {"p50": 1.0}
    same = {"SampleCount": 2, "Sum": 8, "Minimum": 4, "Maximum": 4}
    client.put_metric_data(Namespace="App", MetricData=[{"MetricName": "n", "StatisticValues": same}])
    assert ask("n", "p100")[0]["ExtendedStatistics"] == {"p100": 4.0}
    hidden = {"SampleCount": 2, "Sum": 8, "Minimum": 1, "Maximum": 7}
    client.put_metric_data(Namespace="App", MetricData=[{"MetricName": "n", "StatisticValues": hidden}])
    assert ask("n", "p50") == []


def test_extended_statistics_of_one_to_a_hundred(put, ask):
    put("n", *range(1, 101))
    (point,) = ask("n", "p0", "p50", "p99.5", "p100", "tm90", "TC(10%:90%)", "TS(:50)", "PR(:50)", "WM(10%:90%)", "IQM")
    assert point["ExtendedStatistics"] == {
        "p0": 1.0, "p50": 50.0, "p99.5": 100.0, "p100": 100.0, "tm90": 45.5, "TC(10%:90%)": 80.0,
        "TS(:50)": sum(range(1, 51)), "PR(:50)": 50.0, "WM(10%:90%)": (sum(range(11, 91)) + 10 * 11 + 10 * 90) / 100,
        "IQM": sum(range(26, 76)) / 50,
    }  # fmt: skip


def test_negative_values_have_no_percentiles(put, ask):
    put("n", -1, 2)
    assert ask("n", "p50") == []
    assert ask("n", "Minimum")[0]["Minimum"] == -1.0


def test_many_different_values_keep_their_percentiles_within_two_digits(client, ask, cloud):
    for first in range(0, 1000, 100):
        values = [float(value) for value in range(first + 1, first + 101)]
        client.put_metric_data(Namespace="App", MetricData=[{"MetricName": "n", "Values": values}])
    (point,) = ask("n", "p50", "p90")
    assert point["ExtendedStatistics"]["p50"] == pytest.approx(500, rel=0.05)
    assert point["ExtendedStatistics"]["p90"] == pytest.approx(900, rel=0.05)
    assert ask("n", "SampleCount", "Sum")[0]["Sum"] == 500500.0
    ((_, row),) = cloud.cloud.store.begin(None).scan(("cloudwatch", "point"), Point)
    assert len(row.values) < 250


def test_absolute_bounds_leave_out_the_low_one_and_keep_the_high_one(put, ask):
    put("n", 150, 151, 1000, 1001)
    names = ("TC(150:1000)", "TM(150:1000)", "TS(:150)", "TS(1000:)", "WM(150:1000)", "PR(150:)")
    assert ask("n", *names)[0]["ExtendedStatistics"] == {
        "TC(150:1000)": 2.0, "TM(150:1000)": 575.5, "TS(:150)": 150.0, "TS(1000:)": 1001.0,
        "WM(150:1000)": (150 + 151 + 1000 + 1000) / 4, "PR(150:)": 75.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("datum", "code"),
    [
        ({"Value": math.nan}, "InvalidParameterValue"),
        ({"Value": math.inf}, "InvalidParameterValue"),
        ({"Value": 2.0**361}, "InvalidParameterValue"),
        ({"Value": -(2.0**361)}, "InvalidParameterValue"),
        ({}, "MissingParameter"),
        ({"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination"),
        ({"Values": [1.0, 2.0], "Counts": [1.0]}, "InvalidParameterValue"),
        ({"Values": [1.0], "Counts": [0.0]}, "InvalidParameterValue"),
        ({"Values": [float(n) for n in range(151)]}, "InvalidParameterValue"),
        ({"Value": 1.0, "StorageResolution": 30}, "InvalidParameterValue"),
        ({"StatisticValues": {"SampleCount": 0, "Sum": 1, "Minimum": 1, "Maximum": 1}}, "InvalidParameterValue"),
        ({"StatisticValues": {"SampleCount": 1, "Sum": 1, "Minimum": 2, "Maximum": 1}}, "InvalidParameterValue"),
        ({"Value": 1.0, "Dimensions": [{"Name": ":a", "Value": "1"}]}, "InvalidParameterValue"),
        ({"Value": 1.0, "Dimensions": [{"Name": "a", "Value": " "}]}, "InvalidParameterValue"),
        ({"Value": 1.0, "Dimensions": [{"Name": "ä", "Value": "1"}]}, "InvalidParameterValue"),
        ({"Value": 1.0, "Dimensions": [{"Name": "a", "Value": "1"}] * 2}, "InvalidParameterValue"),
        ({"Value": 1.0, "Dimensions": [{"Name": f"d{n}", "Value": "1"} for n in range(31)]}, "ValidationError"),
    ],
)
def test_wrong_data_is_refused_and_nothing_of_the_request_is_stored(client, ask, datum, code):
    data = [{"MetricName": "good", "Value": 1.0}, {"MetricName": "bad", **datum}]
    assert refused(client.put_metric_data, Namespace="App", MetricData=data)[0] == code
    assert ask("good", "Sum") == []


def test_the_limits_themselves_are_accepted(client, ask):
    thirty = [{"Name": f"d{n}", "Value": "1"} for n in range(30)]
    data = [
        {"MetricName": "n", "Values": [float(n) for n in range(150)]},
        {"MetricName": "n", "Value": 2.0**360, "Dimensions": thirty},
    ]
    client.put_metric_data(Namespace="App", MetricData=data)
    assert ask("n", "SampleCount")[0]["SampleCount"] == 150.0
    client.put_metric_data(Namespace="App", MetricData=[{"MetricName": "m", "Value": 1.0}] * 1000)
    assert ask("m", "Sum")[0]["Sum"] == 1000.0


def test_a_request_has_at_most_1000_metrics(client):
    data = [{"MetricName": "m", "Value": 1.0}] * 1001
    assert refused(client.put_metric_data, Namespace="App", MetricData=data) == (
        "InvalidParameterValue", "The collection MetricData must not have a size greater than 1000.",
    )  # fmt: skip


def test_time_stamps_may_be_two_weeks_old_and_two_hours_ahead(client, clock):
    def put(offset):
        datum = {"MetricName": "n", "Value": 1.0, "Timestamp": clock.now() + offset}
        return client.put_metric_data(Namespace="App", MetricData=[datum])

    put(-14 * DAY + 1)
    put(2 * HOUR - 1)
    code, message = refused(put, offset=-14 * DAY - 1)
    assert (code, "two weeks in the past" in message) == ("InvalidParameterValue", True)
    code, message = refused(put, offset=2 * HOUR + 1)
    assert (code, "two hours in the future" in message) == ("InvalidParameterValue", True)


def test_namespaces_of_aws_are_not_for_users(client):
    datum = [{"MetricName": "n", "Value": 1.0}]
    code, message = refused(client.put_metric_data, Namespace="AWS/SQS", MetricData=datum)
    assert (code, message) == ("InvalidParameterValue", "The value AWS/SQS for parameter Namespace is invalid.")
    assert refused(client.put_metric_data, Namespace="App")[0] == "MissingParameter"


def test_entities_are_refused_by_name(client):
    code, message = refused(client.put_metric_data, Namespace="App", EntityMetricData=[], StrictEntityValidation=True)
    assert code == "NotImplemented"
    assert "EntityMetricData" in message


# reading


def test_high_resolution_metrics_have_data_points_of_seconds_for_three_hours(client, ask, clock):
    start = whole_minute(clock)
    for second in range(0, 60, 5):
        datum = {"MetricName": "n", "Value": 1.0, "Timestamp": start + second, "StorageResolution": 1}
        client.put_metric_data(Namespace="App", MetricData=[datum])
    assert [point["Sum"] for point in ask("n", "Sum", period=10, back=0)] == [2.0] * 6
    assert [point["Sum"] for point in ask("n", "Sum", period=1, back=0)] == [1.0] * 12
    assert [point["Sum"] for point in ask("n", "Sum", period=60)] == [12.0]
    clock.advance(3 * HOUR + 60)
    back = {"back": 3 * HOUR + 60, "ahead": -3 * HOUR}
    assert ask("n", "Sum", period=10, **back) == []
    assert [point["Sum"] for point in ask("n", "Sum", period=60, **back)] == [12.0]


def test_a_metric_of_standard_resolution_has_no_data_points_of_seconds(put, ask):
    put("n", 1)
    assert ask("n", "Sum", period=10) == []


def test_minutes_are_kept_15_days_five_minutes_63_and_hours_455(client, put, ask, clock):
    start = whole_minute(clock)
    clock.advance(HOUR - start % HOUR)
    start = clock.now()
    put("n", 1, 2)
    clock.advance(MINUTE)
    put("n", 4)

    def seen(period):
        back = clock.now() - start
        return [point["Sum"] for point in ask("n", "Sum", period=period, back=back, ahead=-back + HOUR)]

    assert (seen(60), seen(300), seen(3600)) == ([3.0, 4.0], [7.0], [7.0])
    clock.advance(15 * DAY - HOUR)
    assert (seen(60), seen(300)) == ([3.0, 4.0], [7.0])
    clock.advance(2 * HOUR)
    assert (seen(60), seen(300), seen(3600)) == ([], [7.0], [7.0])
    clock.advance(48 * DAY)
    assert (seen(60), seen(300), seen(3600)) == ([], [], [7.0])
    clock.advance(392 * DAY - 2 * HOUR)
    assert seen(3600) == [7.0]
    clock.advance(3 * HOUR)
    assert seen(3600) == []


def test_old_points_are_really_rolled_up_and_gone_in_the_end(put, clock, cloud):
    put("n", 1)
    clock.advance(MINUTE)
    put("n", 2)

    def rows():
        scan = cloud.cloud.store.begin(None).scan
        return [(key[3], point.sum) for key, point in scan(("cloudwatch", "point"), Point)]

    assert rows() == [(60, 1.0), (60, 2.0)]
    clock.advance(15 * DAY + 2 * HOUR)
    assert sum(total for resolution, total in rows() if resolution == 300) == 3.0
    assert all(resolution == 300 for resolution, _ in rows())
    clock.advance(49 * DAY)
    assert rows()[0][0] == 3600
    clock.advance(395 * DAY)
    assert rows() == []
    assert list(cloud.cloud.store.begin(None).scan_keys(("cloudwatch", "metric"))) == []


def test_a_request_for_statistics_has_at_most_1440_data_points(client, clock):
    now = whole_minute(clock)
    request = {"Namespace": "App", "MetricName": "n", "Statistics": ["Sum"], "EndTime": now}
    client.get_metric_statistics(StartTime=now - 1440 * 60, Period=60, **request)
    client.get_metric_statistics(StartTime=now - 1440 * 60 - 20, Period=60, **{**request, "EndTime": now - 20})
    assert refused(client.get_metric_statistics, StartTime=now - 4320 * 60, Period=60, **request) == (
        "InvalidParameterCombination",
        "You have requested up to 4,320 datapoints, which exceeds the limit of 1,440. You may reduce the datapoints requested by "
        "increasing Period, or decreasing the time range.",
    )
    assert refused(client.get_metric_statistics, StartTime=now - 1441 * 60, Period=60, **request)[0] == (
        "InvalidParameterCombination"
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Period": 61}, "InvalidParameterValue"),
        ({"StartTime": 2_000_000_000, "EndTime": 2_000_000_000}, "InvalidParameterValue"),
        ({"ExtendedStatistics": ["p101"], "Statistics": None}, "InvalidParameterValue"),
        ({"ExtendedStatistics": ["Sum"], "Statistics": None}, "InvalidParameterValue"),
        ({"ExtendedStatistics": ["p50"]}, "InvalidParameterCombination"),
        ({"Statistics": None}, "MissingParameter"),
    ],
)
def test_wrong_requests_for_statistics_are_refused(client, clock, change, code):
    now = clock.now()
    request = {"Namespace": "App", "MetricName": "n", "Period": 60, "StartTime": now - 60, "EndTime": now}
    request = {**request, "Statistics": ["Sum"], **change}
    request = {name: value for name, value in request.items() if value is not None}
    assert refused(client.get_metric_statistics, **request)[0] == code


# listing


def test_metrics_are_listed_by_namespace_name_and_dimensions(client, put):
    put("a", 1, Dimensions=[{"Name": "f", "Value": "1"}, {"Name": "g", "Value": "x"}])
    put("a", 1, Dimensions=[{"Name": "f", "Value": "2"}])
    put("b", 1)
    put("a", 1, namespace="Other")

    def listed(**filters):
        found = client.list_metrics(**filters)["Metrics"]
        return [(each["Namespace"], each["MetricName"], {d["Value"] for d in each["Dimensions"]}) for each in found]

    assert len(listed()) == 4
    assert listed(MetricName="b") == [("App", "b", set())]
    assert listed(Namespace="Other") == [("Other", "a", set())]
    assert listed(Dimensions=[{"Name": "f"}]) == [("App", "a", {"1", "x"}), ("App", "a", {"2"})]
    assert listed(Dimensions=[{"Name": "f", "Value": "2"}]) == [("App", "a", {"2"})]
    assert listed(Namespace="App", MetricName="a", Dimensions=[{"Name": "g", "Value": "y"}]) == []


def test_metrics_are_listed_500_at_a_time(client):
    data = [{"MetricName": f"m{number:04}", "Value": 1.0} for number in range(501)]
    client.put_metric_data(Namespace="App", MetricData=data)
    first = client.list_metrics()
    assert len(first["Metrics"]) == 500
    (last,) = client.list_metrics(NextToken=first["NextToken"])["Metrics"]
    assert last["MetricName"] == "m0500"
    assert refused(client.list_metrics, NextToken="nonsense")[0] == "InvalidParameterValue"


def test_silent_metrics_are_listed_two_weeks_and_are_recently_active_for_three_hours(client, put, clock):
    put("n", 1)
    assert len(client.list_metrics(RecentlyActive="PT3H")["Metrics"]) == 1
    clock.advance(4 * HOUR)
    assert client.list_metrics(RecentlyActive="PT3H")["Metrics"] == []
    assert len(client.list_metrics()["Metrics"]) == 1
    put("n", 1)
    assert len(client.list_metrics(RecentlyActive="PT3H")["Metrics"]) == 1
    clock.advance(14 * DAY + HOUR)
    assert client.list_metrics()["Metrics"] == []


# protocols


def test_a_query_request_and_a_compressed_one_are_understood(cloud, ask, aws):
    form = urllib.parse.urlencode(
        {
            "Action": "PutMetricData", "Version": "2010-08-01", "Namespace": "App", "MetricData.member.1.MetricName": "n",
            "MetricData.member.1.Value": "2.5", "MetricData.member.1.Dimensions.member.1.Name": "f",
            "MetricData.member.1.Dimensions.member.1.Value": "x",
        }
    ).encode()  # fmt: skip
    scope = (
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=x"
    )
    headers = {"Authorization": scope, "Content-Type": "application/x-www-form-urlencoded"}
    with urllib.request.urlopen(urllib.request.Request(cloud.endpoint, form, headers)) as answer:
        assert b"<PutMetricDataResponse" in answer.read()
    packed = urllib.request.Request(cloud.endpoint, gzip.compress(form), {**headers, "Content-Encoding": "gzip"})
    with urllib.request.urlopen(packed) as answer:
        assert answer.status == 200
    assert ask("n", "Sum", Dimensions=[{"Name": "f", "Value": "x"}])[0]["Sum"] == 5.0


def test_what_is_no_gzip_is_refused(cloud):
    headers = {"Content-Encoding": "gzip", "X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData"}
    headers["Content-Type"] = "application/x-amz-json-1.0"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(cloud.endpoint, b"not gzip", headers))
    assert caught.value.code == 400
    assert json.load(caught.value)["__type"].endswith("SerializationException")


def test_cbor_is_understood(cloud, ask, clock):
    import cbor2

    body = cbor2.dumps({"Namespace": "App", "MetricData": [{"MetricName": "n", "Value": 1.5}]})
    request = urllib.request.Request(
        f"{cloud.endpoint}/service/GraniteServiceVersion20100801/operation/PutMetricData",
        body,
        {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["smithy-protocol"] == "rpc-v2-cbor"
    assert ask("n", "Sum")[0]["Sum"] == 1.5


# dashboards

BODY = json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "hello"}}]})


def test_dashboards_are_kept_listed_and_deleted(client, aws, clock):
    for name in ("ops-1", "ops-2", "dev"):
        client.put_dashboard(DashboardName=name, DashboardBody=BODY)
    found = client.get_dashboard(DashboardName="dev")
    assert found["DashboardArn"] == "arn:aws:cloudwatch::000000000000:dashboard/dev"
    assert json.loads(found["DashboardBody"]) == json.loads(BODY)
    entries = client.list_dashboards(DashboardNamePrefix="ops-")["DashboardEntries"]
    assert [(entry["DashboardName"], entry["Size"]) for entry in entries] == [
        ("ops-1", len(BODY)),
        ("ops-2", len(BODY)),
    ]
    assert aws("cloudwatch", region_name="eu-west-1").get_dashboard(DashboardName="dev")["DashboardName"] == "dev"
    client.put_dashboard(DashboardName="dev", DashboardBody="{}")
    assert client.get_dashboard(DashboardName="dev")["DashboardBody"] == "{}"
    assert refused(client.delete_dashboards, DashboardNames=["dev", "absent"])[0] == "ResourceNotFound"
    client.delete_dashboards(DashboardNames=["dev", "ops-1"])
    assert [entry["DashboardName"] for entry in client.list_dashboards()["DashboardEntries"]] == ["ops-2"]
    assert refused(client.get_dashboard, DashboardName="dev")[0] == "ResourceNotFound"


def test_a_dashboard_must_be_json_with_known_widgets(client):
    with pytest.raises(client.exceptions.DashboardInvalidInputError) as caught:
        client.put_dashboard(DashboardName="d", DashboardBody="{")
    assert caught.value.response["dashboardValidationMessages"][0]["DataPath"] == "/"
    body = json.dumps({"widgets": [{"type": "text"}, {"type": "nonsense"}]})
    with pytest.raises(client.exceptions.DashboardInvalidInputError) as caught:
        client.put_dashboard(DashboardName="d", DashboardBody=body)
    assert [each["DataPath"] for each in caught.value.response["dashboardValidationMessages"]] == ["/widgets/1/type"]
    many = json.dumps({"widgets": [{"type": "text"}] * 501})
    assert refused(client.put_dashboard, DashboardName="d", DashboardBody=many)[0] == "InvalidParameterInput"
    client.put_dashboard(DashboardName="d", DashboardBody=json.dumps({"widgets": [{"type": "text"}] * 500}))
    assert refused(client.put_dashboard, DashboardName="a b", DashboardBody="{}")[0] == "InvalidParameterInput"
    names = [f"d{number}" for number in range(101)]
    assert refused(client.delete_dashboards, DashboardNames=names)[0] == "InvalidParameterValue"


def test_a_dashboard_has_tags(client):
    arn = "arn:aws:cloudwatch::000000000000:dashboard/d"
    assert refused(client.tag_resource, ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}])[0] == (
        "ResourceNotFoundException"
    )
    client.put_dashboard(DashboardName="d", DashboardBody="{}", Tags=[{"Key": "a", "Value": "1"}])
    client.tag_resource(ResourceARN=arn, Tags=[{"Key": "b", "Value": "2"}])
    client.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert refused(client.tag_resource, ResourceARN=arn, Tags=many)[0] == "InvalidParameterValue"
    client.tag_resource(ResourceARN=arn, Tags=many[:49])


# statistics against a plain model

VALUES = st.lists(st.integers(0, 1000).map(float), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.integers(1, 99), st.integers(1, 5))
def test_statistics_agree_with_sorting_the_values(values, percent, parts):
    point = merged(
        [point_of([(value, 1.0) for value in values[part::parts]]) for part in range(parts) if values[part::parts]]
    )
    ordered = sorted(values)
    assert (point.count, point.minimum, point.maximum) == (len(values), ordered[0], ordered[-1])
    assert point.sum == pytest.approx(sum(values))
    rank = math.ceil(percent / 100 * len(values) - 1e-9)
    assert statistic(f"p{percent}")(point) == ordered[rank - 1]
    kept = ordered[:rank]
    assert statistic(f"tm{percent}")(point) == pytest.approx(sum(kept) / len(kept))
    assert statistic(f"tc{percent}")(point) == len(kept)
    assert statistic("PR(100:500)")(point) == pytest.approx(
        100 * sum(100 < value <= 500 for value in values) / len(values)
    )


@pytest.mark.parametrize(
    "name", ["p", "p101", "tm", "TM(10:20%)", "TM(:)", "TM(20%:10%)", "PR(10%:20%)", "p5.", "Median"]
)
def test_unknown_statistics_are_unknown(name):
    assert statistic(name) is None


# the embedded metric format


def line(clock, names=(("f",),), metrics=({"Name": "time", "Unit": "Milliseconds"},), namespace="App", **targets):
    directive = {"Namespace": namespace, "Dimensions": [list(each) for each in names], "Metrics": list(metrics)}
    return json.dumps({"_aws": {"Timestamp": int(clock.now() * 1000), "CloudWatchMetrics": [directive]}, **targets})


@pytest.fixture
def log(aws, clock):
    logs = aws("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")

    def log(*lines):
        events = [{"timestamp": int(clock.now() * 1000), "message": each} for each in lines]
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)

    return log


def test_metrics_in_log_lines_are_published(log, ask, client, clock):
    log(
        line(clock, f="x", time=100),
        f"2026-11-01T00:00:00Z id INFO {line(clock, f='x', time=[1, 2.5])}",
        line(clock, [[], ["f", "g"]], [{"Name": "n"}, {"Name": "time"}], f="x", g="y", n=7, time=1),
    )
    (point,) = ask("time", "Sum", "SampleCount", Dimensions=[{"Name": "f", "Value": "x"}])
    assert (point["Sum"], point["SampleCount"], point["Unit"]) == (103.5, 3.0, "Milliseconds")
    assert [point["Sum"] for point in ask("n", "Sum")] == [7.0]
    both = [{"Name": "f", "Value": "x"}, {"Name": "g", "Value": "y"}]
    assert [point["Sum"] for point in ask("n", "Sum", Dimensions=both)] == [7.0]
    assert [(point["Sum"], point["Unit"]) for point in ask("time", "Sum", Dimensions=both)] == [(1.0, "None")]


@pytest.mark.parametrize(
    "change",
    [
        {"time": "100"},
        {"time": True},
        {"time": []},
        {"time": [1] * 101},
        {"time": 2.0**361},
        {"f": 1},
        {"f": ""},
        {"namespace": "AWS/Lambda"},
        {"namespace": ""},
        {"metrics": [{"Name": "time"}] * 101},
        {"names": [[f"d{number}" for number in range(31)]], **{f"d{number}": "x" for number in range(31)}},
        {"names": [["absent"]]},
        {"metrics": [{"Name": 5}, {"Name": ["time"]}, {"Name": {}}, {"Name": True}]},
    ],
)
def test_what_is_no_valid_embedded_metric_is_a_log_line_like_any_other(log, client, aws, clock, change):
    log(
        line(clock, **{"f": "x", "time": 100, **change}),
        '{"CloudWatchMetrics": ',
        '{"_aws": 1, "CloudWatchMetrics": []}',
        line(clock, f="x", time=100).replace('"Timestamp": ', '"Timestamp": 1' + "0" * 400),
    )
    assert client.list_metrics()["Metrics"] == []
    assert len(aws("logs").filter_log_events(logGroupName="g")["events"]) == 4


@pytest.mark.parametrize("unit", [[], {}, 5, "Parsecs"])
def test_a_unit_that_is_none_counts_as_none(log, ask, clock, unit):
    log(line(clock, metrics=[{"Name": "time", "Unit": unit}], f="x", time=100))
    (point,) = ask("time", "Sum", Dimensions=[{"Name": "f", "Value": "x"}])
    assert (point["Sum"], point["Unit"]) == (100.0, "None")
