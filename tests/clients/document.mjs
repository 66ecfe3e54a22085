// The AWS SDK for JavaScript v3's document client against ENDPOINT: every command, paginators, sets, binaries, large numbers.

import assert from "node:assert/strict";
import { CreateTableCommand, DeleteTableCommand, DynamoDBClient, waitUntilTableExists, waitUntilTableNotExists } from "@aws-sdk/client-dynamodb";
import {
  BatchExecuteStatementCommand, BatchGetCommand, BatchWriteCommand, DeleteCommand, DynamoDBDocumentClient, ExecuteStatementCommand,
  ExecuteTransactionCommand, GetCommand, NumberValue, PutCommand, QueryCommand, ScanCommand, TransactGetCommand, TransactWriteCommand,
  UpdateCommand, paginateQuery, paginateScan,
} from "@aws-sdk/lib-dynamodb";

const settings = {
  endpoint: process.env.ENDPOINT, region: "us-east-1", maxAttempts: 1,
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
};
const plain = new DynamoDBClient(settings);
const documents = DynamoDBDocumentClient.from(plain, { marshallOptions: { removeUndefinedValues: true, convertEmptyValues: false } });
const exact = DynamoDBDocumentClient.from(new DynamoDBClient(settings), { unmarshallOptions: { wrapNumbers: true } });
const send = (command) => documents.send(command);
const TableName = "documents";
const Key = { pk: "a", sk: 1 };
const fails = (work, name, message) => assert.rejects(work, (error) => error.name === name && (!message || error.message.includes(message)));

async function table() {
  await plain.send(new CreateTableCommand({
    TableName, BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [["pk", "S"], ["sk", "N"], ["state", "S"]].map(([AttributeName, AttributeType]) => ({ AttributeName, AttributeType })),
    KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
    GlobalSecondaryIndexes: [{
      IndexName: "by-state", Projection: { ProjectionType: "ALL" },
      KeySchema: [{ AttributeName: "state", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
    }],
  }));
  const found = await waitUntilTableExists({ client: plain, minDelay: 0.05, maxDelay: 0.2, maxWaitTime: 30 }, { TableName });
  assert.equal(found.reason.Table.TableStatus, "ACTIVE");
}

async function values() {
  const Item = {
    ...Key, text: "ä\u0000😀", empty: "", flag: false, nothing: null, gone: undefined, list: [1, "two", { three: [3] }, null], map: { "odd name": 1, "": "no name" },
    strings: new Set(["x", "y"]), numbers: new Set([1, 2.5, -3]), binaries: new Set([new Uint8Array([0, 1]), new Uint8Array([255])]),
    raw: new Uint8Array([0, 127, 255]), tiny: 1e-7, large: 12345678901234567890n,
  };
  await send(new PutCommand({ TableName, Item }));
  const { Item: found } = await send(new GetCommand({ TableName, Key, ConsistentRead: true }));
  assert.deepEqual(found.strings, Item.strings);
  assert.deepEqual(new Set(found.numbers), Item.numbers);
  assert.deepEqual([...found.binaries].map((each) => [...each]).sort(), [[0, 1], [255]]);
  assert.deepEqual([...found.raw], [0, 127, 255]);
  for (const name of ["text", "empty", "flag", "nothing", "list", "map", "tiny"]) assert.deepEqual(found[name], Item[name], name);
  assert.equal(found.large, 12345678901234567890n);
  assert.ok(!("gone" in found));
  const digits = "1234567890.1234567890123456789012345678";
  await exact.send(new PutCommand({ TableName, Item: { ...Key, exact: NumberValue.from(digits), all: [NumberValue.from("1E-130")] } }));
  const { Item: numbers } = await exact.send(new GetCommand({ TableName, Key }));
  assert.equal(numbers.exact.toString(), digits);
  assert.equal(Number(numbers.all[0].toString()), 1e-130);
  await fails(documents.send(new PutCommand({ TableName, Item: { ...Key, bad: new Set() } })), "Error");
  await fails(exact.send(new PutCommand({ TableName, Item: { ...Key, bad: NumberValue.from("1E126") } })), "ValidationException", "Number overflow");
}

async function changes() {
  await send(new PutCommand({ TableName, Item: { ...Key, count: 1, tags: new Set(["a"]), list: ["x"], map: { deep: { n: 1 } }, gone: 1 } }));
  const updated = await send(new UpdateCommand({
    TableName, Key, ReturnValues: "ALL_NEW", ReturnConsumedCapacity: "INDEXES",
    UpdateExpression: "SET #m.#d.#n = #m.#d.#n + :one, #l = list_append(#l, :more), fresh = if_not_exists(fresh, :zero) ADD #c :one, tags :tags REMOVE gone",
    ConditionExpression: "#m.#d.#n = :one AND size(#l) = :one AND NOT contains(tags, :b)",
    ExpressionAttributeNames: { "#m": "map", "#d": "deep", "#n": "n", "#l": "list", "#c": "count" },
    ExpressionAttributeValues: { ":one": 1, ":zero": 0, ":more": ["y"], ":tags": new Set(["b"]), ":b": "b" },
  }));
  assert.deepEqual(updated.Attributes.map, { deep: { n: 2 } });
  assert.deepEqual([updated.Attributes.count, updated.Attributes.fresh, updated.Attributes.list], [2, 0, ["x", "y"]]);
  assert.deepEqual(updated.Attributes.tags, new Set(["a", "b"]));
  assert.equal(updated.ConsumedCapacity.Table.CapacityUnits, 1);
  assert.ok(!("gone" in updated.Attributes));
  await assert.rejects(
    send(new DeleteCommand({ TableName, Key, ConditionExpression: "attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure: "ALL_OLD" })),
    (error) => error.name === "ConditionalCheckFailedException" && error.$metadata.httpStatusCode === 400 && error.Item.count !== undefined,
  );
  const deleted = await send(new DeleteCommand({ TableName, Key, ReturnValues: "ALL_OLD" }));
  assert.equal(deleted.Attributes.count, 2);
  assert.equal((await send(new GetCommand({ TableName, Key }))).Item, undefined);
  await fails(send(new GetCommand({ TableName: "nowhere", Key })), "ResourceNotFoundException");
  await fails(send(new GetCommand({ TableName, Key: { pk: "a" } })), "ValidationException", "The provided key element does not match the schema");
}

async function pages() {
  for (let start = 0; start < 100; start += 25) {
    const puts = Array.from({ length: 25 }, (_, n) => ({ PutRequest: { Item: { pk: "p", sk: start + n, state: n % 2 ? "odd" : "even", v: "x".repeat(40_000) } } }));
    const { UnprocessedItems } = await send(new BatchWriteCommand({ RequestItems: { [TableName]: puts } }));
    assert.deepEqual(UnprocessedItems, {});
  }
  let count = 0, turns = 0;
  for await (const page of paginateQuery({ client: documents, pageSize: 30 }, {
    TableName, KeyConditionExpression: "pk = :p AND sk BETWEEN :low AND :high", ExpressionAttributeValues: { ":p": "p", ":low": 5, ":high": 94 },
  })) {
    turns += 1;
    for (const item of page.Items) assert.equal(item.sk, 5 + count++);
  }
  assert.deepEqual([count, turns >= 4], [90, true]);
  const seen = [];
  for await (const page of paginateScan({ client: documents }, { TableName, FilterExpression: "#s = :odd", ExpressionAttributeNames: { "#s": "state" }, ExpressionAttributeValues: { ":odd": "odd" }, ProjectionExpression: "sk" }))
    seen.push(...page.Items.map((item) => item.sk));
  assert.equal(new Set(seen).size, 48);
  const index = await send(new QueryCommand({
    TableName, IndexName: "by-state", KeyConditionExpression: "#s = :odd", ScanIndexForward: false, Limit: 2, Select: "SPECIFIC_ATTRIBUTES",
    ProjectionExpression: "pk, sk", ExpressionAttributeNames: { "#s": "state" }, ExpressionAttributeValues: { ":odd": "odd" },
  }));
  assert.deepEqual(index.Items, [{ pk: "p", sk: 98 }, { pk: "p", sk: 96 }]);
  assert.deepEqual(index.LastEvaluatedKey, { pk: "p", sk: 96, state: "odd" });
  const parts = await Promise.all([0, 1, 2].map((Segment) => send(new ScanCommand({ TableName, Segment, TotalSegments: 3, Select: "COUNT" }))));
  assert.ok(parts.every((part) => part.Items === undefined));
  const keys = [1, 2, 500].map((sk) => ({ pk: "p", sk }));
  const got = await send(new BatchGetCommand({ RequestItems: { [TableName]: { Keys: keys, ProjectionExpression: "sk" } } }));
  assert.deepEqual(got.Responses[TableName].map((item) => item.sk).sort(), [1, 2]);
  const deletes = keys.map((each) => ({ DeleteRequest: { Key: each } }));
  await send(new BatchWriteCommand({ RequestItems: { [TableName]: deletes } }));
  assert.deepEqual((await send(new BatchGetCommand({ RequestItems: { [TableName]: { Keys: keys } } }))).Responses[TableName], []);
}

async function transactions() {
  const put = (sk, more = {}) => ({ Put: { TableName, Item: { pk: "t", sk }, ...more } });
  await send(new TransactWriteCommand({ TransactItems: [put(1), put(2)], ClientRequestToken: "once" }));
  await send(new TransactWriteCommand({ TransactItems: [put(1), put(2)], ClientRequestToken: "once" }));
  await fails(send(new TransactWriteCommand({ TransactItems: [put(3)], ClientRequestToken: "once" })), "IdempotentParameterMismatchException");
  await assert.rejects(
    send(new TransactWriteCommand({
      TransactItems: [
        { Update: { TableName, Key: { pk: "t", sk: 2 }, UpdateExpression: "SET a = :a", ExpressionAttributeValues: { ":a": 1 } } },
        { Put: { TableName, Item: { pk: "t", sk: 1 }, ConditionExpression: "attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure: "ALL_OLD" } },
        { ConditionCheck: { TableName, Key: { pk: "t", sk: 9 }, ConditionExpression: "attribute_not_exists(pk)" } },
        { Delete: { TableName, Key: { pk: "t", sk: 7 } } },
      ],
    })),
    (error) => {
      assert.equal(error.name, "TransactionCanceledException");
      assert.deepEqual(error.CancellationReasons.map((reason) => reason.Code), ["None", "ConditionalCheckFailed", "None", "None"]);
      assert.deepEqual(error.CancellationReasons[1].Item, { pk: { S: "t" }, sk: { N: "1" } });
      return true;
    },
  );
  const { Responses } = await send(new TransactGetCommand({ TransactItems: [1, 2, 3].map((sk) => ({ Get: { TableName, Key: { pk: "t", sk } } })) }));
  assert.deepEqual(Responses.map((each) => each.Item), [{ pk: "t", sk: 1 }, { pk: "t", sk: 2 }, undefined]);
}

async function statements() {
  await send(new ExecuteStatementCommand({ Statement: `INSERT INTO ${TableName} VALUE {'pk': ?, 'sk': ?, 'tags': ?}`, Parameters: ["s", 1, new Set(["a"])] }));
  const { Items } = await send(new ExecuteStatementCommand({ Statement: `SELECT * FROM "${TableName}" WHERE pk = ? AND sk = ?`, Parameters: ["s", 1] }));
  assert.deepEqual(Items, [{ pk: "s", sk: 1, tags: new Set(["a"]) }]);
  const batch = await send(new BatchExecuteStatementCommand({
    Statements: [
      { Statement: `UPDATE ${TableName} SET n = 5 WHERE pk = 's' AND sk = 1 RETURNING ALL NEW *` },
      { Statement: `INSERT INTO ${TableName} VALUE {'pk': 's', 'sk': 1}` },
    ],
  }));
  assert.equal(batch.Responses[0].Item.n, 5);
  assert.equal(batch.Responses[1].Error.Code, "DuplicateItem");
  await send(new ExecuteTransactionCommand({ TransactStatements: [{ Statement: `DELETE FROM ${TableName} WHERE pk = ? AND sk = ?`, Parameters: ["s", 1] }] }));
  assert.equal((await send(new ExecuteStatementCommand({ Statement: `SELECT * FROM ${TableName} WHERE pk = 's'` }))).Items.length, 0);
}

for (const part of [table, values, changes, pages, transactions, statements]) {
  await part();
  console.log(part.name, "ok");
}
await plain.send(new DeleteTableCommand({ TableName }));
await waitUntilTableNotExists({ client: plain, minDelay: 0.05, maxDelay: 0.2, maxWaitTime: 30 }, { TableName });
console.log("done");
