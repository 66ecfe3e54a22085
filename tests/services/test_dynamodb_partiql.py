"""PartiQL: ExecuteStatement, BatchExecuteStatement, ExecuteTransaction."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.errors import AwsError
from cumulet.services.dynamodb.partiql.parser import parse

WORDS = ["SELECT", "*", "FROM", '"T"', "WHERE", "a", "=", "?", "1", "'x'", "AND", "OR", "NOT", "(", ")", "[", "]", "{",
         "}", "<<", ">>", ",", ".", ":", "IN", "IS", "MISSING", "NULL", "BETWEEN", "INSERT", "INTO", "VALUE", "UPDATE",
         "SET", "REMOVE", "DELETE", "RETURNING", "ALL", "OLD", "ORDER", "BY", "EXISTS", "list_append", "set_add", "size",
         "begins_with", "-", "+", "<>", ";"]  # fmt: skip


@pytest.fixture
def db(aws: Any) -> Any:
    return aws("dynamodb")


@pytest.fixture
def music(db: Any) -> Any:
    db.create_table(
        TableName="Music",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in (("Artist", "S"), ("Song", "S"), ("Year", "N"))],
        KeySchema=[{"AttributeName": "Artist", "KeyType": "HASH"}, {"AttributeName": "Song", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "byYear",
                "KeySchema": [{"AttributeName": "Year", "KeyType": "HASH"}, {"AttributeName": "Song", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )  # fmt: skip
    for artist, song, year in (("Acme", "A", 2000), ("Acme", "B", 2001), ("Acme", "C", 2001), ("Zed", "A", 2001)):
        db.put_item(
            TableName="Music",
            Item={
                "Artist": {"S": artist},
                "Song": {"S": song},
                "Year": {"N": str(year)},
                "Tags": {"SS": ["x", song]},
                "Info": {"M": {"Label": {"S": "L" + song}, "Plays": {"L": [{"N": "1"}, {"N": "2"}]}}},
            },
        )
    return db


def run(db: Any, statement: str, *parameters: Any, **more: Any) -> Any:
    if parameters:
        more["Parameters"] = list(parameters)
    return db.execute_statement(Statement=statement, **more)


def songs(answer: Any) -> list[str]:
    return [item["Artist"]["S"] + item["Song"]["S"] for item in answer["Items"]]


def failure(call: Any, *args: Any, **more: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(*args, **more)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("Artist = 'Acme'", "AcmeA AcmeB AcmeC"),
        ("'Acme' = Artist AND Song > 'A'", "AcmeB AcmeC"),
        ("Artist = 'Acme' AND Song >= 'B' AND Song < 'C'", "AcmeB"),
        ("Artist = 'Acme' AND Song BETWEEN 'A' AND 'B'", "AcmeA AcmeB"),
        ("Artist = 'Acme' AND begins_with(Song, 'C')", "AcmeC"),
        ("Artist = 'Acme' AND Song <> 'B'", "AcmeA AcmeC"),
        ("Artist = 'Acme' AND Song IN ['A', 'C']", "AcmeA AcmeC"),
        ("Artist = 'Acme' AND (Song = 'A' OR Song = 'C')", "AcmeA AcmeC"),
        ("Artist IN ['Zed', 'Acme'] AND Song = 'A'", "AcmeA ZedA"),
        ("Artist = 'Acme' AND \"Info\".\"Label\" = 'LB'", "AcmeB"),
        ("Artist = 'Acme' AND Info.Plays[1] = 2 AND NOT Song = 'A'", "AcmeB AcmeC"),
        ("Artist = 'Acme' AND contains(Tags, 'C')", "AcmeC"),
        ("Artist = 'Acme' AND size(Tags) = 2", "AcmeA AcmeB AcmeC"),
        ("Artist = 'Acme' AND attribute_type(Info, 'M') AND \"Year\" = 2000", "AcmeA"),
        ("Artist = 'Acme' AND Nothing IS MISSING AND Info IS NOT MISSING AND Song NOT IN ('A')", "AcmeB AcmeC"),
        ("Artist = 'Acme' AND Info IS NULL", ""),
        ("Artist = 'Acme' AND Info IS NOT NULL AND Tags = <<'x', 'A'>>", "AcmeA"),
    ],
)
def test_where_with_a_partition_key_is_a_query_in_the_order_of_the_sort_key(music: Any, where: str, found: str) -> None:
    """Operators and functions of the WHERE clause."""
    assert songs(run(music, f'SELECT * FROM "Music" WHERE {where}')) == found.split()


def test_a_select_without_a_partition_key_scans(music: Any) -> None:
    answer = run(music, 'SELECT * FROM Music WHERE Song = ? AND "Year" > ?', {"S": "A"}, {"N": "2000"})
    assert songs(answer) == ["ZedA"]
    assert sorted(songs(run(music, "SELECT * FROM Music"))) == ["AcmeA", "AcmeB", "AcmeC", "ZedA"]
    assert run(music, "SELECT * FROM Music", ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]["CapacityUnits"] == 0.5


def test_order_by_follows_the_sort_key(music: Any) -> None:
    assert songs(run(music, "SELECT * FROM Music WHERE Artist = 'Acme' ORDER BY Song DESC")) == [
        "AcmeC",
        "AcmeB",
        "AcmeA",
    ]
    both = "SELECT * FROM Music WHERE Artist IN ['Acme', 'Zed'] AND Song < 'C' ORDER BY Artist DESC, Song ASC"
    assert songs(run(music, both)) == ["ZedA", "AcmeA", "AcmeB"]
    assert failure(run, music, "SELECT * FROM Music ORDER BY Song")[1] == (
        "Must have WHERE clause in the statement when using ORDER BY clause."
    )
    assert "hash key condition" in failure(run, music, "SELECT * FROM Music WHERE Song = 'A' ORDER BY Song")[1]
    assert (
        "must be part of the primary key"
        in failure(run, music, "SELECT * FROM Music WHERE Artist = 'A' ORDER BY Info")[1]
    )


def test_an_index_is_read_by_its_own_keys(music: Any) -> None:
    answer = run(music, 'SELECT Artist, Song FROM "Music"."byYear" WHERE "Year" = 2001 AND Song > \'A\'')
    assert [item["Song"]["S"] for item in answer["Items"]] == ["B", "C"]
    assert failure(run, music, 'SELECT * FROM "Music"."no" WHERE "Year" = 1')[1] == (
        "The table does not have the specified index: no"
    )
    assert "Consistent reads" in failure(run, music, 'SELECT * FROM "Music"."byYear"', ConsistentRead=True)[1]


def test_projections_take_out_nested_values(music: Any) -> None:
    answer = run(music, "SELECT Info.Label, Info.Plays[0], Gone FROM Music WHERE Artist = 'Zed'")
    assert answer["Items"] == [{"Label": {"S": "LA"}, "Plays[0]": {"N": "1"}}]


def test_pages_go_on_with_the_token_over_several_partition_keys(music: Any) -> None:
    statement = "SELECT * FROM Music WHERE Artist IN ['Acme', 'Zed']"
    found: list[str] = []
    token: dict[str, Any] = {}
    pages = 0
    while True:
        answer = run(music, statement, Limit=1, **token)
        found += songs(answer)
        pages += 1
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert found == ["AcmeA", "AcmeB", "AcmeC", "ZedA"]
    assert 4 <= pages <= 6
    first = run(music, statement, Limit=1)
    assert first["LastEvaluatedKey"] == {"Artist": {"S": "Acme"}, "Song": {"S": "A"}}
    other = failure(run, music, "SELECT * FROM Music", NextToken=first["NextToken"])
    assert other == ("ValidationException", "NextToken does not match request")
    assert failure(run, music, "SELECT * FROM Music", NextToken="x")[0] == "ValidationException"


def test_fifty_partition_keys_are_read_and_no_more(music: Any) -> None:
    keys = ", ".join(f"'k{n}'" for n in range(50))
    assert run(music, f"SELECT * FROM Music WHERE Artist IN [{keys}]")["Items"] == []
    assert "max number" in failure(run, music, f"SELECT * FROM Music WHERE Artist IN [{keys}, 'more']")[1]


def test_insert_puts_a_new_item_and_refuses_one_that_is_there(music: Any) -> None:
    statement = "INSERT INTO Music VALUE {'Artist': ?, 'Song': 'N', 'L': [1, -2.5, 'it''s', true, null], 'S': <<1, 2>>, 'M': {'a': {'b': 1e2}}}"
    assert run(music, statement, {"S": "New"})["Items"] == []
    item = music.get_item(TableName="Music", Key={"Artist": {"S": "New"}, "Song": {"S": "N"}})["Item"]
    assert item["L"] == {"L": [{"N": "1"}, {"N": "-2.5"}, {"S": "it's"}, {"BOOL": True}, {"NULL": True}]}
    assert sorted(item["S"]["NS"]) == ["1", "2"]
    assert item["M"] == {"M": {"a": {"M": {"b": {"N": "100"}}}}}
    assert failure(run, music, statement, {"S": "New"}) == (
        "DuplicateItemException",
        "Duplicate primary key exists in table",
    )
    assert "Missing the key Song" in failure(run, music, "INSERT INTO Music VALUE {'Artist': 'x'}")[1]


def test_update_sets_removes_and_returns(music: Any) -> None:
    statement = (
        'UPDATE Music SET Info.Plays = list_append(Info.Plays, [3]) SET "Year" = "Year" + 1 SET Tags = set_add(Tags, <<\'n\'>>) '
        "REMOVE Info.Label WHERE Artist = 'Zed' AND Song = 'A' RETURNING ALL NEW *"
    )
    new = run(music, statement)["Items"][0]
    assert new["Info"] == {"M": {"Plays": {"L": [{"N": "1"}, {"N": "2"}, {"N": "3"}]}}}
    assert new["Year"] == {"N": "2002"}
    assert sorted(new["Tags"]["SS"]) == ["A", "n", "x"]
    where = "WHERE Artist = 'Zed' AND Song = 'A'"
    old = run(music, f"UPDATE Music SET Tags = set_delete(Tags, <<'n', 'x'>>) {where} RETURNING MODIFIED OLD *")[
        "Items"
    ][0]
    assert list(old) == ["Tags"]
    assert sorted(old["Tags"]["SS"]) == ["A", "n", "x"]
    changed = run(music, f"UPDATE Music SET a = 1, b = ? {where} RETURNING MODIFIED NEW *", {"S": "v"})["Items"]
    assert changed == [{"a": {"N": "1"}, "b": {"S": "v"}}]
    before = run(music, f"UPDATE Music REMOVE a REMOVE b {where} RETURNING ALL OLD *")["Items"][0]
    assert before["Tags"] == {"SS": ["A"]}
    assert before["a"] == {"N": "1"}


def test_update_needs_the_whole_key_an_item_and_its_condition(music: Any) -> None:
    mandatory = ("ValidationException", "Where clause does not contain a mandatory equality on all key attributes")
    assert failure(run, music, "UPDATE Music SET a = 1 WHERE Artist = 'Zed'") == mandatory
    assert failure(run, music, "DELETE FROM Music WHERE Artist = 'Zed' AND Song > 'A'") == mandatory
    failed = ("ConditionalCheckFailedException", "The conditional request failed")
    assert failure(run, music, "UPDATE Music SET a = 1 WHERE Artist = 'Zed' AND Song = 'Q'") == failed
    assert failure(run, music, "UPDATE Music SET a = 1 WHERE Artist = 'Zed' AND Song = 'A' AND \"Year\" = 1") == failed
    with pytest.raises(ClientError) as caught:
        run(
            music,
            "UPDATE Music SET a = 1 WHERE Artist = 'Zed' AND Song = 'A' AND \"Year\" = 1",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert caught.value.response["Item"]["Year"] == {"N": "2001"}
    assert (
        "This attribute is part of the key"
        in failure(run, music, "UPDATE Music SET Song = 'B' WHERE Artist = 'Zed' AND Song = 'A'")[1]
    )


def test_delete_removes_one_item_and_a_missing_one_is_fine(music: Any) -> None:
    statement = "DELETE FROM Music WHERE Artist = 'Zed' AND Song = 'A' AND \"Year\" = 2001 RETURNING ALL OLD *"
    assert songs(run(music, statement)) == ["ZedA"]
    assert run(music, statement)["Items"] == []
    assert failure(run, music, "DELETE FROM Music WHERE Artist = 'Acme' AND Song = 'A' AND \"Year\" = 1")[0] == (
        "ConditionalCheckFailedException"
    )
    assert "Unexpected token" in failure(run, music, statement.replace("OLD", "NEW"))[1]


@pytest.mark.parametrize(
    "statement",
    ["SELEC * FROM Music", "SELECT * FROM", "SELECT * FROM Music WHERE", "SELECT * FROM Music WHERE a ==", "INSERT INTO Music VALUE 1",
     "UPDATE Music WHERE a = 1", "SELECT * FROM Music WHERE f(a)", "INSERT INTO Music VALUE {'a': <<1, 'b'>>}",
     "SELECT * FROM Music WHERE a = 'x", "DELETE FROM Music"],
)  # fmt: skip
def test_what_is_not_partiql_is_refused_in_its_words(music: Any, statement: str) -> None:
    code, message = failure(run, music, statement)
    assert code == "ValidationException"
    assert message.startswith("Statement wasn't well formed, can't be processed: ")


def test_parameters_must_match_and_statements_have_a_longest_length(music: Any) -> None:
    wrong = ("ValidationException", "Number of parameters in request and statement don't match.")
    assert failure(run, music, "SELECT * FROM Music WHERE Artist = ?") == wrong
    assert failure(run, music, "SELECT * FROM Music WHERE Artist = ?", {"S": "a"}, {"S": "b"}) == wrong
    fill = "SELECT * FROM Music WHERE Artist = '" + "x" * 1000
    text = fill + "'" + " " * (8192 - len(fill) - 1)
    assert run(music, text)["Items"] == []
    assert failure(run, music, text + " ")[0] == "ValidationException"
    assert failure(run, music, "SELECT * FROM Nowhere") == ("ResourceNotFoundException", "Requested resource not found")


def test_a_batch_answers_each_statement_for_itself(music: Any) -> None:
    answer = music.batch_execute_statement(
        Statements=[
            {"Statement": "INSERT INTO Music VALUE {'Artist': 'b', 'Song': '1'}"},
            {"Statement": "INSERT INTO Music VALUE {'Artist': 'Zed', 'Song': 'A'}"},
            {"Statement": "UPDATE Music SET a = 1 WHERE Artist = 'b' AND Song = '1' RETURNING ALL NEW *"},
            {"Statement": "UPDATE Nowhere SET a = 1 WHERE Artist = 'b'"},
            {"Statement": "UPDATE Music SET"},
            {"Statement": "DELETE FROM Music WHERE Artist = 'Acme' AND Song = 'A' AND a = 1"},
        ],
        ReturnConsumedCapacity="TOTAL",
    )
    codes = [response.get("Error", {}).get("Code") for response in answer["Responses"]]
    assert codes == [None, "DuplicateItem", None, "ResourceNotFound", "ValidationError", "ConditionalCheckFailed"]
    assert answer["Responses"][2]["Item"]["a"] == {"N": "1"}
    assert answer["Responses"][0]["TableName"] == "Music"
    assert answer["ConsumedCapacity"][0]["CapacityUnits"] == 2.0
    reads = music.batch_execute_statement(
        Statements=[
            {"Statement": "SELECT Song FROM Music WHERE Artist = ? AND Song = 'A'", "Parameters": [{"S": "Zed"}]},
            {"Statement": "SELECT * FROM Music WHERE Artist = 'no' AND Song = 'A'"},
            {"Statement": "SELECT * FROM Music WHERE Artist = 'Zed'"},
        ]
    )["Responses"]
    assert reads[0]["Item"] == {"Song": {"S": "A"}}
    assert "Item" not in reads[1]
    assert reads[2]["Error"]["Message"] == (
        "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
    )
    mixed = [
        {"Statement": "SELECT * FROM Music"},
        {"Statement": "INSERT INTO Music VALUE {'Artist': 'b', 'Song': '2'}"},
    ]
    assert failure(music.batch_execute_statement, Statements=mixed)[0] == "ValidationException"
    many = [{"Statement": "SELECT * FROM Music WHERE Artist = 'a' AND Song = 'b'"}]
    assert len(music.batch_execute_statement(Statements=many * 25)["Responses"]) == 25
    assert failure(music.batch_execute_statement, Statements=many * 26)[0] == "ValidationException"


def test_a_transaction_writes_all_or_nothing(music: Any) -> None:
    insert = {"Statement": "INSERT INTO Music VALUE {'Artist': 't', 'Song': '1'}"}
    check = {
        "Statement": "EXISTS(SELECT * FROM Music WHERE Artist = 'Zed' AND Song = 'A' AND \"Year\" = ?)",
        "Parameters": [{"N": "2001"}],
    }
    update = {"Statement": "UPDATE Music SET a = 1 WHERE Artist = 'Acme' AND Song = 'A'"}
    answer = music.execute_transaction(TransactStatements=[insert, check, update], ClientRequestToken="once")
    assert answer["Responses"] == [{}, {}, {}]
    again = music.execute_transaction(TransactStatements=[insert, check, update], ClientRequestToken="once")
    assert again["Responses"] == answer["Responses"]
    assert failure(music.execute_transaction, TransactStatements=[update], ClientRequestToken="once")[0] == (
        "IdempotentParameterMismatchException"
    )
    bad = {"Statement": "EXISTS(SELECT * FROM Music WHERE Artist = 'Zed' AND Song = 'A' AND \"Year\" = 1)"}
    other = {"Statement": "DELETE FROM Music WHERE Artist = 'Acme' AND Song = 'B'"}
    with pytest.raises(ClientError) as caught:
        music.execute_transaction(TransactStatements=[insert, bad, other])
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["DuplicateItem", "ConditionalCheckFailed", "None"]
    assert "Item" in music.get_item(TableName="Music", Key={"Artist": {"S": "Acme"}, "Song": {"S": "B"}})
    returning = {"Statement": update["Statement"] + " RETURNING ALL NEW *"}
    code, message = failure(music.execute_transaction, TransactStatements=[returning])
    assert (code, "RETURNING" in message) == ("ValidationException", True)
    same = failure(music.execute_transaction, TransactStatements=[other, other])
    assert same[1] == "Transaction request cannot include multiple operations on one item"


def test_returning_gives_no_item_without_attributes(music: Any) -> None:
    """What MODIFIED shows may be nothing: then there is no item, not an empty one."""
    where = "WHERE Artist = 'Zed' AND Song = 'A'"
    assert run(music, f"UPDATE Music SET Fresh = 1 {where} RETURNING MODIFIED OLD *")["Items"] == []
    assert run(music, f"UPDATE Music SET Info.Label = 'z' {where} RETURNING MODIFIED NEW *")["Items"] == [
        {"Info": {"M": {"Label": {"S": "z"}}}}
    ]
    assert run(music, f"UPDATE Music REMOVE Fresh {where} RETURNING MODIFIED NEW *")["Items"] == []
    assert run(music, f"DELETE FROM Music {where.replace('Zed', 'nobody')} RETURNING ALL OLD *")["Items"] == []
    batch = music.batch_execute_statement(
        Statements=[{"Statement": f"UPDATE Music REMOVE Info {where} RETURNING MODIFIED NEW *"}]
    )
    assert batch["Responses"] == [{"TableName": "Music"}]


def test_partition_keys_joined_by_or_are_a_query(music: Any) -> None:
    """`pk = a OR pk = b` reads these partitions alone, as IN does, and may be ordered."""
    text = "SELECT Song FROM Music WHERE (Artist = 'Zed' OR 'Acme' = Artist OR Artist IN ['Zed', 'None'])"
    answer = run(music, text, ReturnConsumedCapacity="TOTAL")
    assert [item["Song"]["S"] for item in answer["Items"]] == ["A", "B", "C", "A"]
    assert run(music, text + " AND Song > 'A' ORDER BY Artist DESC, Song DESC")["Items"] == [
        {"Song": {"S": "C"}},
        {"Song": {"S": "B"}},
    ]
    either = run(music, "SELECT Song FROM Music WHERE Artist = 'Zed' OR Song = 'B'")["Items"]
    assert sorted(item["Song"]["S"] for item in either) == ["A", "B"]
    many = " OR ".join(f"Artist = 'a{i}'" for i in range(50)) + " OR Artist = 'Zed'"
    assert len(run(music, f"SELECT Song FROM Music WHERE {many}")["Items"]) == 1


def test_a_transaction_reads_single_items(music: Any) -> None:
    statement = {"Statement": "SELECT Song FROM Music WHERE Artist = 'Zed' AND Song = 'A'"}
    missing = {"Statement": "SELECT * FROM Music WHERE Artist = 'Zed' AND Song = 'Z'"}
    answer = music.execute_transaction(TransactStatements=[statement, missing], ReturnConsumedCapacity="TOTAL")
    assert answer["Responses"] == [{"Item": {"Song": {"S": "A"}}}, {}]
    assert answer["ConsumedCapacity"][0]["CapacityUnits"] == 4.0
    hundred = [{"Statement": f"SELECT * FROM Music WHERE Artist = 'Zed' AND Song = 'A{i}'"} for i in range(99)] + [
        statement
    ]
    assert len(music.execute_transaction(TransactStatements=hundred)["Responses"]) == 100
    assert failure(music.execute_transaction, TransactStatements=[missing, *hundred])[0] == "ValidationException"
    assert (
        "multiple operations on one item" in failure(music.execute_transaction, TransactStatements=[statement] * 2)[1]
    )
    write = {"Statement": "DELETE FROM Music WHERE Artist = 'Zed' AND Song = 'A'"}
    assert "both read and write" in failure(music.execute_transaction, TransactStatements=[statement, write])[1]
    assert "EXISTS" in failure(run, music, "EXISTS(SELECT * FROM Music WHERE Artist = 'Zed' AND Song = 'A')")[1]


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join), st.text(max_size=60)))
def test_no_statement_breaks_the_parser(text: str) -> None:
    """A statement is parsed or refused with an AWS error, whatever it holds."""
    try:
        parse(text, [{"S": "p"}] * text.count("?"))
    except AwsError as error:
        assert error.http_status == 400
