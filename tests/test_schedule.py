"""Schedule expressions: next times, checked by hand, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.schedule import InvalidSchedule, next_fire, parse


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def shown(when):
    return None if when is None else datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S")


NEXT = [
    # every field
    ("0 10 * * ? *", "2026-11-21T09:59:59", "2026-11-21T10:00:00"),
    ("0 10 * * ? *", "2026-11-21T10:00:00", "2026-11-22T10:00:00"),
    ("15 12 * * ? *", "2026-12-31T12:15:00", "2027-01-01T12:15:00"),
    ("* * * * ? *", "2026-11-21T10:00:30", "2026-11-21T10:01:00"),
    ("0 18 ? * MON-FRI *", "2026-11-20T18:00:00", "2026-11-23T18:00:00"),  # Friday, Monday
    ("0 18 ? * mon-fri *", "2026-11-20T18:00:00", "2026-11-23T18:00:00"),
    ("0 8 1 * ? *", "2026-11-21T00:00:00", "2026-12-01T08:00:00"),
    ("0/15 * * * ? *", "2026-11-21T10:46:00", "2026-11-21T11:00:00"),
    ("*/20 * * * ? *", "2026-11-21T10:20:00", "2026-11-21T10:40:00"),
    ("1/10 * * * ? *", "2026-11-21T10:51:00", "2026-11-21T11:01:00"),
    ("10-30/10 * * * ? *", "2026-11-21T10:30:00", "2026-11-21T11:10:00"),
    ("5,35 14 * * ? *", "2026-11-21T14:05:00", "2026-11-21T14:35:00"),
    ("0/5 8-17 ? * MON-FRI *", "2026-11-20T17:55:00", "2026-11-23T08:00:00"),
    ("0/30 20-2 ? * MON-FRI *", "2026-11-23T02:30:00", "2026-11-23T20:00:00"),
    ("0/30 20-2 ? * MON-FRI *", "2026-11-23T23:30:00", "2026-11-24T00:00:00"),
    ("0 0 ? * SAT-MON *", "2026-11-23T00:00:00", "2026-11-28T00:00:00"),  # over the week's end
    ("0 0 1 JAN,JUL ? *", "2026-01-01T00:00:00", "2026-07-01T00:00:00"),
    ("0 0 1 1/6 ? *", "2026-01-01T00:00:00", "2026-07-01T00:00:00"),
    ("0 0 1 1 ? 2030", "2026-01-01T00:00:00", "2030-01-01T00:00:00"),
    ("0 0 1 1 ? 2025", "2026-01-01T00:00:00", None),
    ("0 0 1 1 ? 2020-2028/4", "2024-01-01T00:00:00", "2028-01-01T00:00:00"),
    ("59 23 31 12 ? 2199", "2026-01-01T00:00:00", "2199-12-31T23:59:00"),
    # 1 is Sunday
    ("0 0 ? * 1 *", "2026-11-21T00:00:00", "2026-11-22T00:00:00"),
    ("0 0 ? * 7 *", "2026-11-21T00:00:00", "2026-11-28T00:00:00"),
    ("0 0 ? * SUN *", "2026-11-22T00:00:00", "2026-11-29T00:00:00"),
    ("0 0 ? * L *", "2026-11-21T00:00:00", "2026-11-28T00:00:00"),  # the week's last day
    # leap years
    ("0 0 29 2 ? *", "2026-11-21T00:00:00", "2028-02-29T00:00:00"),
    ("0 0 29 2 ? *", "2096-02-29T00:00:00", "2104-02-29T00:00:00"),  # 2100 is none
    ("0 0 30 2 ? *", "2026-11-21T00:00:00", None),
    ("0 0 31 * ? *", "2026-03-31T00:00:00", "2026-05-31T00:00:00"),
    # L
    ("0 0 L * ? *", "2026-02-01T00:00:00", "2026-02-28T00:00:00"),
    ("0 0 L * ? *", "2028-02-01T00:00:00", "2028-02-29T00:00:00"),
    ("0 0 L * ? *", "2026-04-30T00:00:00", "2026-05-31T00:00:00"),
    ("15 10 ? * 6L *", "2026-11-21T00:00:00", "2026-11-27T10:15:00"),  # the last Friday
    ("15 10 ? * 6L 2019-2022", "2022-12-30T10:15:00", None),
    ("0 0 ? * FRIL *", "2026-11-27T00:00:00", "2026-12-25T00:00:00"),
    ("0 0 LW * ? *", "2026-01-01T00:00:00", "2026-01-30T00:00:00"),  # the 31st is a Saturday
    # W
    ("0 0 3W * ? *", "2026-10-01T00:00:00", "2026-10-02T00:00:00"),  # Saturday the 3rd: Friday
    ("0 0 4W * ? *", "2026-10-03T00:00:00", "2026-10-05T00:00:00"),  # Sunday the 4th: Monday
    ("0 0 1W * ? *", "2026-07-20T00:00:00", "2026-08-03T00:00:00"),  # Saturday the 1st: not back into July
    ("0 0 31W * ? *", "2026-05-01T00:00:00", "2026-05-29T00:00:00"),  # Sunday the 31st: not on into June
    ("0 0 15W * ? *", "2026-12-01T00:00:00", "2026-12-15T00:00:00"),
    # #
    ("0 0 ? * 3#2 *", "2026-11-21T00:00:00", "2026-12-08T00:00:00"),  # the second Tuesday
    ("0 0 ? * FRI#1 *", "2026-11-21T00:00:00", "2026-12-04T00:00:00"),
    ("0 0 ? * 6#5 *", "2026-11-01T00:00:00", "2027-01-29T00:00:00"),  # the next month with five Fridays
]


@pytest.mark.parametrize(("fields", "after", "due"), NEXT)
def test_cron_is_due_next(fields, after, due):
    assert shown(next_fire(f"cron({fields})", at(after))) == due


ZONES = [
    ("0 9 * * ? *", "2026-11-21T00:00:00", "Europe/Berlin", "2026-11-21T08:00:00"),
    ("0 9 * * ? *", "2026-07-21T00:00:00", "Europe/Berlin", "2026-07-21T07:00:00"),
    ("0 0 * * ? *", "2026-11-21T00:00:00", "Asia/Kolkata", "2026-11-21T18:30:00"),
    ("30 2 * * ? *", "2026-03-28T12:00:00", "Europe/Berlin", "2026-03-30T00:30:00"),  # 02:30 is left out on the 29th
    ("30 2 * * ? *", "2026-10-24T12:00:00", "Europe/Berlin", "2026-10-25T00:30:00"),  # 02:30 comes twice on the 25th
    ("30 2 * * ? *", "2026-10-25T00:30:00", "Europe/Berlin", "2026-10-26T01:30:00"),
    ("0 * * * ? *", "2026-10-25T00:00:00", "Europe/Berlin", "2026-10-25T02:00:00"),
    ("15,45 * * * ? *", "2026-10-25T00:45:00", "Europe/Berlin", "2026-10-25T02:15:00"),
    ("15,45 * * * ? *", "2026-10-25T01:30:00", "Europe/Berlin", "2026-10-25T02:15:00"),
]


@pytest.mark.parametrize(("fields", "after", "zone", "due"), ZONES)
def test_cron_in_a_time_zone(fields, after, zone, due):
    assert shown(next_fire(f"cron({fields})", at(after), zone=zone)) == due


@pytest.mark.parametrize(
    ("expression", "start", "after", "due"),
    [
        ("rate(1 minute)", "2026-11-21T10:00:07", "2026-11-21T10:00:07", "2026-11-21T10:01:07"),
        ("rate(1 minute)", "2026-11-21T10:00:07", "2026-11-21T10:05:00", "2026-11-21T10:05:07"),
        ("rate(5 minutes)", "2026-11-21T10:00:00", "2026-11-21T10:05:00", "2026-11-21T10:10:00"),
        ("rate(1 hour)", "2026-11-21T10:00:00", "2026-11-21T10:59:59", "2026-11-21T11:00:00"),
        ("rate(2 days)", "2026-11-21T10:00:00", "2026-11-24T00:00:00", "2026-11-25T10:00:00"),
    ],
)
def test_a_rate_counts_from_its_start(expression, start, after, due):
    assert shown(next_fire(expression, at(after), at(start))) == due


@settings(max_examples=200, deadline=None)
@given(st.floats(1.6e9, 1.9e9), st.integers(1, 100_000))
def test_a_rate_keeps_its_distance(start, steps):
    due = next_fire("rate(7 minutes)", start, start)
    assert due == pytest.approx(start + 420)
    later = start + 420 * steps
    assert later < next_fire("rate(7 minutes)", later, start) <= later + 421


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(5 seconds)",
        "rate(-1 minutes)",
        "rate(1.5 hours)",
        "rate(5 minutes) ",
        "Rate(5 minutes)",
        "rate(5minutes)",
        "at(2026-11-21T10:00:00)",
        "cron()",
        "cron(0 10 * * ?)",
        "cron(0 10 * * ? * *)",
        "cron(0 10 * * * *)",
        "cron(0 10 ? * ? *)",
        "cron(0 10 1 * 2 *)",
        "cron(60 10 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 0 0 * ? *)",
        "cron(0 0 32 * ? *)",
        "cron(0 0 * 13 ? *)",
        "cron(0 0 ? * 0 *)",
        "cron(0 0 ? * 8 *)",
        "cron(0 0 * * ? 1969)",
        "cron(0 0 * * ? 2200)",
        "cron(0/0 0 * * ? *)",
        "cron(0/ 0 * * ? *)",
        "cron(a 0 * * ? *)",
        "cron(1- 0 * * ? *)",
        "cron(1,,2 0 * * ? *)",
        "cron(? 0 * * ? *)",
        "cron(0 0 ? * 3#1,6#3 *)",
        "cron(0 0 ? * 3#6 *)",
        "cron(0 0 ? * MON/2 *)",
        "cron(0 0 W * ? *)",
        "cron(0 0 32W * ? *)",
        "cron(0 0 * FOO ? *)",
        "cron(0 L * * ? *)",
    ],
)
def test_what_is_no_schedule_is_refused(expression):
    with pytest.raises(InvalidSchedule):
        parse(expression)


def test_at_is_due_once_where_it_is_allowed():
    once = parse("at(2026-11-21T10:00:00)", "America/New_York", once=True)
    assert shown(once.next(at("2026-11-21T00:00:00"))) == "2026-11-21T15:00:00"
    assert once.next(at("2026-11-21T15:00:00")) is None
    for wrong in ("at(2026-02-30T10:00:00)", "at(2026-11-21)"):
        with pytest.raises(InvalidSchedule):
            parse(wrong, once=True)


def test_a_rate_goes_on_where_seconds_become_coarser():
    start = 2.0**31 - 1000 + 2**-22  # in 2038 a float loses a bit
    later = start + 420 * 3
    assert next_fire("rate(7 minutes)", later, start) > later


@settings(max_examples=100, deadline=None)
@given(
    st.sets(st.integers(0, 59), min_size=1, max_size=3),
    st.sets(st.integers(0, 23), min_size=1, max_size=3),
    st.sets(st.integers(1, 7), min_size=1, max_size=3),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - made aware below
)
def test_cron_finds_the_same_minute_as_a_search(minutes, hours, weekdays, begin):
    begin = begin.replace(tzinfo=UTC)
    fields = " ".join(",".join(map(str, sorted(values))) for values in (minutes, hours))
    days = ",".join(map(str, sorted(weekdays)))
    due = begin.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while due.minute not in minutes or due.hour not in hours or due.isoweekday() % 7 + 1 not in weekdays:
        due += timedelta(minutes=1)
    assert next_fire(f"cron({fields} ? * {days} *)", begin.timestamp()) == due.timestamp()
