"""GetMetricData and metric math."""

import math

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.cloudwatch import formula
from cumulet.services.cloudwatch.formula import BadFormula, Binary, Call, Minus, Name, Number, Word

MINUTE = 60
START = 4_000_000_000 // 86400 * 86400  # a midnight, which no real clock has reached
GAP = None


@pytest.fixture
def client(aws, clock):
    clock.advance(START + 3600 - clock.now())
    return aws("cloudwatch")


@pytest.fixture
def put(client):
    """put("m1", 1, None, 3): a value a minute from START on."""

    def put(name, *values, namespace="App", dimensions=()):
        data = [
            {"MetricName": name, "Value": float(value), "Timestamp": START + MINUTE * number,
             "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions]}
            for number, value in enumerate(values) if value is not None
        ]  # fmt: skip
        if data:
            client.put_metric_data(Namespace=namespace, MetricData=data)

    return put


def metric(name, id_=None, stat="Sum", period=MINUTE, **query):
    stat = {"Metric": {"Namespace": "App", "MetricName": name}, "Period": period, "Stat": stat}
    return {"Id": id_ or name, "MetricStat": stat, **query}


@pytest.fixture
def answers(client):
    def answers(*queries, minutes=5, **request):
        end = START + minutes * MINUTE
        request = {"ScanBy": "TimestampAscending", **request}
        return client.get_metric_data(MetricDataQueries=list(queries), StartTime=START, EndTime=end, **request)

    return answers


@pytest.fixture
def calculated(answers):
    """The values of an expression over m1, m2, m3 by minute, None where there is none."""

    def calculated(expression, minutes=5):
        hidden = [metric(name, ReturnData=False) for name in ("m1", "m2", "m3")]
        results = answers({"Id": "e1", "Expression": expression}, *hidden, minutes=minutes)["MetricDataResults"]
        rows = []
        for result in results:
            by_time = {
                int(at.timestamp()): value for at, value in zip(result["Timestamps"], result["Values"], strict=True)
            }
            rows.append([by_time.get(START + MINUTE * number) for number in range(minutes)])
            assert len(by_time) == sum(value is not None for value in rows[-1])
        return rows[0] if len(rows) == 1 else rows

    return calculated


def refused(action, *arguments, **request):
    with pytest.raises(ClientError) as caught:
        action(*arguments, **request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


# queries


def test_metrics_are_answered_by_id_with_labels_in_the_order_asked_for(put, answers):
    put("a", 1, 2, 3)
    put("b", 10, None, 30)
    got = answers(metric("b", "x", Label="the b"), metric("a", "y"), metric("a", "z", ReturnData=False))
    b, a = got["MetricDataResults"]
    assert (b["Id"], b["Label"], b["Values"], b["StatusCode"]) == ("x", "the b", [10.0, 30.0], "Complete")
    assert [int(at.timestamp()) for at in b["Timestamps"]] == [START, START + 120]
    assert (a["Id"], a["Label"], a["Values"]) == ("y", "a", [1.0, 2.0, 3.0])
    assert "NextToken" not in got


def test_the_newest_come_first_unless_asked_otherwise(put, answers):
    put("a", 1, 2, 3)
    (newest_first,) = answers(metric("a"), ScanBy="TimestampDescending")["MetricDataResults"]
    assert newest_first["Values"] == [3.0, 2.0, 1.0]


def test_longer_periods_put_values_together_from_the_start_on(put, answers):
    put("a", 1, 2, 3, 4, 5)
    (got,) = answers(metric("a", period=120))["MetricDataResults"]
    assert got["Values"] == [3.0, 7.0, 5.0]
    (got,) = answers(metric("a", period=120, stat="p100"))["MetricDataResults"]
    assert got["Values"] == [2.0, 4.0, 5.0]


def test_data_points_come_in_pages(put, answers):
    put("a", 1, 2, 3)
    put("b", 4, 5, 6)
    queries = (metric("a"), metric("b"))
    seen, token, pages = {"a": [], "b": []}, None, 0
    while True:
        page = answers(*queries, MaxDatapoints=2, **({"NextToken": token} if token else {}))
        pages += 1
        assert sum(len(result["Values"]) for result in page["MetricDataResults"]) <= 2
        for result in page["MetricDataResults"]:
            seen[result["Id"]] += result["Values"]
        token = page.get("NextToken")
        if token is None:
            break
        assert any(result["StatusCode"] == "PartialData" for result in page["MetricDataResults"])
    assert (seen, pages) == ({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}, 3)
    assert refused(answers, *queries, NextToken="nonsense")[0] == "InvalidNextToken"


def test_a_request_has_at_most_500_queries_and_100800_points(answers):
    queries = [metric("a", f"m{number}") for number in range(501)]
    assert refused(answers, *queries) == (
        "ValidationError", "The collection MetricDataQueries must not have a size greater than 500.",
    )  # fmt: skip
    assert len(answers(*queries[:500])["MetricDataResults"]) == 500
    assert refused(answers, queries[0], MaxDatapoints=100_801)[0] == "ValidationError"
    answers(queries[0], MaxDatapoints=100_800)


@pytest.mark.parametrize(
    ("queries", "code", "words"),
    [
        ([metric("a", "Big")], "ValidationError", "pattern"),
        ([metric("a"), metric("a")], "ValidationError", "not unique"),
        ([metric("a", stat="p200")], "ValidationError", "Stat"),
        ([metric("a", period=7)], "ValidationError", "Period"),
        ([{"Id": "e"}], "ValidationError", "Exactly one"),
        ([metric("a", Expression="a")], "ValidationError", "Exactly one"),
        ([{"Id": "e", "Expression": "a+1"}], "ValidationError", "Unrecognized id a"),
        ([{"Id": "e", "Expression": "f"}, {"Id": "f", "Expression": "e"}], "ValidationError", "Circular"),
        ([{"Id": "e", "Expression": "1 +"}], "ValidationError", "Error in expression 'e'"),
        ([{"Id": "e", "Expression": "1 + 1"}], "ValidationError", "must evaluate to a time series"),
        ([{"Id": "e", "Expression": "FOO(1)"}], "ValidationError", "FOO is not supported"),
        ([{"Id": "e", "Expression": "ABS(1,2)"}], "ValidationError", "ABS expects 1 argument"),
        (
            [metric("a"), {"Id": "e", "Expression": "ANOMALY_DETECTION_BAND(a)"}],
            "NotImplemented",
            "ANOMALY_DETECTION_BAND",
        ),
        ([{"Id": "e", "Expression": "SELECT AVG(x) FROM y"}], "NotImplemented", "Metrics Insights"),
        ([metric("a", Label="${MAX}")], "NotImplemented", "dynamic labels"),
        ([metric("a", AccountId="111122223333")], "NotImplemented", "other accounts"),
    ],
)
def test_wrong_queries_are_refused(answers, queries, code, words):
    got = refused(answers, *queries)
    assert got[0] == code
    assert words in got[1]


def test_the_start_must_be_before_the_end(answers):
    assert refused(answers, metric("a"), minutes=0)[0] == "ValidationError"


# arithmetic, with the examples of the user guide


def test_what_one_of_two_series_lacks_counts_as_zero(put, calculated):
    put("m1", 1, 2, None, 4)
    put("m2", 10, None, 30, 0)
    assert calculated("m1 + m2") == [11, 2, 30, 4, GAP]
    assert calculated("m1 - m2") == [-9, 2, -30, 4, GAP]
    assert calculated("m1 / m2") == [0.1, GAP, 0, GAP, GAP]
    assert calculated("2 * m1 ^ 2 - 1") == [1, 7, GAP, 31, GAP]
    assert calculated("-m1") == [-1, -2, GAP, -4, GAP]
    assert calculated("(1 + 2) * [m1, m2]") == [[3, 6, GAP, 12, GAP], [30, GAP, 90, 0, GAP]]


def test_comparisons_give_one_or_zero(put, calculated):
    put("m1", 30, 20, 0, 0)
    put("m2", 20, None, 20, None)
    assert calculated("m1 < m2") == [0, 0, 1, 0, GAP]
    assert calculated("m1 >= 30") == [1, 0, 0, 0, GAP]
    assert calculated("m1 > 15 AND m2 > 15") == [1, 0, 0, 0, GAP]
    assert calculated("m1 == 0 || m1 == 20") == [0, 1, 1, 1, GAP]
    assert calculated("m1 != 0 && m1 <= 20") == [0, 1, 0, 0, GAP]


def test_if_takes_series_and_numbers(put, calculated):
    put("m1", 1, 1, 0, 0, None)
    put("m2", 30, None, 0, 0, 30)
    put("m3", 0, 0, 20, None, 20)
    assert calculated("IF(m1, m2, m3)") == [30, 0, 20, GAP, GAP]
    assert calculated("IF(m1, 5, m3)") == [5, 5, 20, GAP, GAP]
    assert calculated("IF(m1, m2, 5)") == [30, 0, 5, 5, GAP]
    assert calculated("IF(m1, m2)") == [30, 0, GAP, GAP, GAP]
    assert calculated("IF(1, m2, m3)") == [30, GAP, 0, 0, 30]
    assert calculated("IF(0, m2, m3)") == [0, 0, 20, GAP, 20]
    assert calculated("IF(0, m2)") == [GAP] * 5
    assert calculated("IF(m2 < 10, 1, 2)") == [2, GAP, 1, 1, 2]


def test_aggregates_of_one_series_are_numbers_and_of_arrays_series(put, calculated):
    put("m1", 1, 2, 3)
    put("m2", 4, None, 6)
    assert calculated("m1 / MAX(m1)") == [1 / 3, 2 / 3, 1, GAP, GAP]
    assert calculated("m1 - AVG(m1)") == [-1, 0, 1, GAP, GAP]
    assert calculated("m1 * STDDEV(m2)") == [1, 2, 3, GAP, GAP]
    assert calculated("SUM([m1, m2])") == [5, 2, 9, GAP, GAP]
    assert calculated("AVG([m1, m2])") == [2.5, 1, 4.5, GAP, GAP]
    assert calculated("MIN([m1, m2])") == [1, 2, 3, GAP, GAP]
    assert calculated("DATAPOINT_COUNT(METRICS())") == [2, 1, 2, GAP, GAP]
    assert calculated('SUM(METRICS("m1"))') == [1, 2, 3, GAP, GAP]
    assert calculated("m1 / METRIC_COUNT(METRICS())") == [1 / 3, 2 / 3, 1, GAP, GAP]
    assert calculated("SUM(m3) + m1") == [1, 2, 3, GAP, GAP]


def test_changes_from_point_to_point(put, calculated):
    put("m1", 10, None, 40, 30)
    assert calculated("DIFF(m1)") == [GAP, GAP, 30, -10, GAP]
    assert calculated("DIFF_TIME(m1)") == [GAP, GAP, 120, 60, GAP]
    assert calculated("RATE(m1)") == [GAP, GAP, 0.25, -10 / 60, GAP]
    assert calculated("RUNNING_SUM(m1)") == [10, GAP, 50, 80, GAP]


def test_functions_of_each_point(put, calculated):
    put("m1", -1.5, 0, 100)
    assert calculated("ABS(m1)") == [1.5, 0, 100, GAP, GAP]
    assert calculated("CEIL(m1)") == [-1, 0, 100, GAP, GAP]
    assert calculated("FLOOR(m1)") == [-2, 0, 100, GAP, GAP]
    assert calculated("LOG10(m1)") == [GAP, GAP, 2, GAP, GAP]
    assert calculated("LOG(m1)") == [GAP, GAP, math.log(100), GAP, GAP]


def test_fill_by_number_series_repetition_and_line(put, calculated):
    put("m1", None, 10, None, 40)
    put("m2", 1, 2, 3)
    assert calculated("FILL(m1, 0)") == [0, 10, 0, 40, 0]
    assert calculated("FILL(m1, m2)") == [1, 10, 3, 40, GAP]
    assert calculated("FILL(m1, REPEAT)") == [GAP, 10, 10, 40, 40]
    assert calculated("FILL(m1, LINEAR)") == [GAP, 10, 25, 40, GAP]
    assert calculated("FILL(m1, MIN(m1))") == [10, 10, 10, 40, 10]
    assert calculated("FILL(m3, 7)") == [7] * 5


def test_times_of_the_clock(put, calculated):
    put("m1", 1)
    assert calculated("MINUTE(m1)") == [0, 1, 2, 3, 4]
    assert calculated("HOUR(m1) + DATE(m1) + 100 * MONTH(m1) + 10000 * YEAR(m1)") == [20961002] * 5
    assert calculated("DAY(m1)") == [2] * 5  # a Tuesday
    assert calculated("EPOCH(m1)") == [START + MINUTE * number for number in range(5)]
    assert calculated("TIME_SERIES(3)") == [3] * 5
    assert calculated("m1 * PERIOD(m1)") == [60, GAP, GAP, GAP, GAP]


def test_arrays_are_sorted_and_sliced(put, calculated):
    put("m1", 5, 5)
    put("m2", 9, 3)
    put("m3", 1, 1)
    assert [row[:2] for row in calculated("SORT(METRICS(), AVG, DESC)")] == [[9, 3], [5, 5], [1, 1]]
    assert calculated("SORT(METRICS(), MAX, ASC, 1)") == [1, 1, GAP, GAP, GAP]
    assert calculated("FIRST(SORT(METRICS(), MAX, DESC))") == [9, 3, GAP, GAP, GAP]
    assert calculated("LAST(SORT(METRICS(), MAX, DESC))") == [1, 1, GAP, GAP, GAP]
    assert calculated("SLICE(SORT(METRICS(), MAX, DESC), 1, 2)") == [5, 5, GAP, GAP, GAP]
    assert calculated("SLICE(SORT(METRICS(), MAX, DESC), 2)") == [1, 1, GAP, GAP, GAP]


def test_empty_series_can_be_removed(put, calculated):
    put("m2", 4)
    assert calculated("REMOVE_EMPTY(METRICS())") == [4, GAP, GAP, GAP, GAP]


def test_expressions_build_on_expressions(put, answers):
    put("a", 1, 2)
    got = answers(
        metric("a", ReturnData=False),
        {"Id": "e2", "Expression": "e1 + 1", "Label": "plus one"},
        {"Id": "e1", "Expression": "a * 10", "ReturnData": False},
    )["MetricDataResults"]
    assert [(one["Id"], one["Label"], one["Values"]) for one in got] == [("e2", "plus one", [11.0, 21.0])]


def test_an_array_gives_a_result_for_each_series(put, answers):
    put("a", 1)
    put("b", 2)
    got = answers(metric("a"), metric("b", Label="B"), {"Id": "e", "Expression": "METRICS() * 2", "Label": "twice"})
    assert [(one["Id"], one["Label"], one["Values"]) for one in got["MetricDataResults"]] == [
        ("a", "a", [1.0]), ("b", "B", [2.0]), ("e", "twice a", [2.0]), ("e", "twice B", [4.0]),
    ]  # fmt: skip


# SEARCH


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{App,FunctionName} Errors", ["Errors/pay", "Errors/ship"]),
        ('{App,FunctionName} MetricName="Errors" FunctionName=pay', ["Errors/pay"]),
        ("{App,FunctionName} NOT Errors", ["SlowCalls/pay"]),
        ("{App,FunctionName} slow OR ship", ["Errors/ship", "SlowCalls/pay"]),
        ('{App,FunctionName} FunctionName=("pay" OR "other") calls', ["SlowCalls/pay"]),
        ("{App} Errors", ["Errors/"]),
        ("Namespace=Other", ["Errors/"]),
        ("{App,Nothing} Errors", []),
    ],
)
def test_search_finds_metrics(put, answers, text, found):
    put("Errors", 1, dimensions=[("FunctionName", "pay")])
    put("Errors", 2, dimensions=[("FunctionName", "ship")])
    put("SlowCalls", 3, dimensions=[("FunctionName", "pay")])
    put("Errors", 4)
    put("Errors", 5, namespace="Other")
    got = answers({"Id": "e", "Expression": f"SEARCH('{text}', 'Sum', 60)"})["MetricDataResults"]
    names = {1.0: "Errors/pay", 2.0: "Errors/ship", 3.0: "SlowCalls/pay", 4.0: "Errors/", 5.0: "Errors/"}
    assert sorted(names[one["Values"][0]] for one in got) == found


def test_search_can_be_calculated_with(put, answers):
    put("Errors", 1, 1, dimensions=[("FunctionName", "pay")])
    put("Errors", 2, dimensions=[("FunctionName", "ship")])
    (got,) = answers({"Id": "e", "Expression": "SUM(SEARCH('{App,FunctionName} Errors', 'Sum', 60))"})[
        "MetricDataResults"
    ]
    assert got["Values"] == [3.0, 1.0]


# the parser


def test_precedence():
    assert formula.parse("1 + 2 * -m1 ^ 2") == Binary(
        "+", Number(1), Binary("*", Number(2), Minus(Binary("^", Name("m1"), Number(2))))
    )
    assert formula.parse("FILL(m1, REPEAT)") == Call("FILL", (Name("m1"), Word("REPEAT")))
    assert formula.parse("1 - 2 - 3") == Binary("-", Binary("-", Number(1), Number(2)), Number(3))


@pytest.mark.parametrize("text", ["", "(", "1 1", "m1 +", "[m1", "F(1", "#", "1 = 2", "(" * 5000])
def test_what_is_no_formula_is_refused(text):
    with pytest.raises(BadFormula):
        formula.parse(text)


NUMBERS = st.integers(1, 9).map(str)
FORMULAS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda text: f"(-{text})"),
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(FORMULAS)
def test_numbers_are_calculated_as_python_does(text):
    def value(node):
        match node:
            case Number(value=number):
                return number
            case Minus(of=inner):
                return -value(inner)
            case Binary(sign=sign, left=left, right=right):
                return {
                    "+": value(left) + value(right),
                    "-": value(left) - value(right),
                    "*": value(left) * value(right),
                }[sign]

    assert value(formula.parse(text)) == eval(text)


def test_search_finds_at_most_100_metrics(put, answers):
    for number in range(101):
        put("Errors", 1, dimensions=[("FunctionName", f"f{number}")])
    got = answers({"Id": "e", "Expression": "SEARCH('{App,FunctionName} Errors', 'Sum', 60)"})["MetricDataResults"]
    assert len(got) == 100
