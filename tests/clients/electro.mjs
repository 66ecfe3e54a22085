// ElectroDB against ENDPOINT: a service of two entities in one table, collections, indexes, every update, batches, transactions, cursors.

import assert from "node:assert/strict";
import { CreateTableCommand, DynamoDBClient, UpdateTimeToLiveCommand, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { Entity, Service, createSchema } from "electrodb";

const plain = new DynamoDBClient({
  endpoint: process.env.ENDPOINT, region: "us-east-1", maxAttempts: 1, credentials: { accessKeyId: "test", secretAccessKey: "test" },
});
const client = DynamoDBDocumentClient.from(plain, { marshallOptions: { removeUndefinedValues: true } });
const table = "app";
const S = (AttributeName) => ({ AttributeName, AttributeType: "S" });
const keys = (hash, range) => [{ AttributeName: hash, KeyType: "HASH" }, { AttributeName: range, KeyType: "RANGE" }];

const Task = new Entity({
  model: { entity: "task", version: "1", service: "work" },
  attributes: {
    team: { type: "string", required: true },
    id: { type: "string", required: true },
    owner: { type: "string", required: true },
    state: { type: ["open", "closed", "waiting"], default: "open" },
    points: { type: "number", default: 0 },
    title: { type: "string" },
    tags: { type: "set", items: "string" },
    sizes: { type: "set", items: "number" },
    notes: { type: "list", items: { type: "string" } },
    place: { type: "map", properties: { city: { type: "string" }, floor: { type: "number" }, rooms: { type: "list", items: { type: "string" } } } },
    extra: { type: "any" },
    expires: { type: "number", field: "ttl" },
    updatedAt: { type: "number", watch: "*", set: () => 1700000000000, readOnly: false },
  },
  indexes: {
    byTeam: { pk: { field: "pk", composite: ["team"] }, sk: { field: "sk", composite: ["id"] } },
    byOwner: { collection: "assigned", index: "gsi1", pk: { field: "gsi1pk", composite: ["owner"] }, sk: { field: "gsi1sk", composite: ["state", "id"] } },
  },
});
const Person = new Entity({
  model: { entity: "person", version: "1", service: "work" },
  attributes: { owner: { type: "string", required: true }, team: { type: "string", required: true }, name: { type: "string" }, salary: { type: "number" } },
  indexes: {
    one: { pk: { field: "pk", composite: ["owner"] }, sk: { field: "sk", composite: [] } },
    assigned: { collection: "assigned", index: "gsi1", pk: { field: "gsi1pk", composite: ["owner"] }, sk: { field: "gsi1sk", composite: [] } },
    byTeam: { index: "gsi2", pk: { field: "gsi2pk", composite: ["team"] }, sk: { field: "gsi2sk", composite: ["name"] } },
  },
});
const work = new Service({ Task, Person }, { client, table });
const { Task: tasks, Person: people } = work.entities;
const key = { team: "red", id: "1" };

async function create() {
  await plain.send(new CreateTableCommand({
    TableName: table, BillingMode: "PAY_PER_REQUEST", AttributeDefinitions: ["pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk"].map(S), KeySchema: keys("pk", "sk"),
    GlobalSecondaryIndexes: ["gsi1", "gsi2"].map((IndexName) => ({ IndexName, KeySchema: keys(`${IndexName}pk`, `${IndexName}sk`), Projection: { ProjectionType: "ALL" } })),
  }));
  await waitUntilTableExists({ client: plain, minDelay: 0.05, maxDelay: 0.2, maxWaitTime: 30 }, { TableName: table });
  await plain.send(new UpdateTimeToLiveCommand({ TableName: table, TimeToLiveSpecification: { Enabled: true, AttributeName: "ttl" } }));
}

async function items() {
  const given = { ...key, owner: "ann", points: 3, tags: ["a", "b"], sizes: [1, 2.5], notes: ["x"], place: { city: "Oslo", floor: 1, rooms: ["r"] }, extra: { any: [1, null, "x"] } };
  const { data } = await tasks.create(given).go();
  assert.equal(data.state, "open");
  const { data: found } = await tasks.get(key).go({ consistent: true });
  assert.deepEqual({ ...found, tags: [...found.tags].sort(), sizes: [...found.sizes].sort() }, { ...given, state: "open", updatedAt: 1700000000000 });
  await assert.rejects(tasks.create(given).go(), (error) => error.cause?.name === "ConditionalCheckFailedException" || /conditional request failed/.test(error.message));
  await tasks.put({ ...key, id: "2", owner: "ann", state: "closed" }).go();
  const upserted = await tasks.upsert({ ...key, id: "3", owner: "bob", title: "new" }).go({ response: "all_new" });
  assert.equal(upserted.data.title, "new");
  const { data: some } = await tasks.get(key).go({ attributes: ["points", "place"] });
  assert.deepEqual(some, { points: 3, place: given.place });
  assert.equal((await tasks.get({ ...key, id: "none" }).go()).data, null);
}

async function updates() {
  const set = await tasks.patch(key).set({ title: "T", points: 5 }).add({ points: 0, tags: ["c"] }).go({ response: "all_new" }).catch((error) => error);
  assert.match(String(set.message), /Two document paths overlap/);
  const { data } = await tasks.patch(key)
    .set({ title: "T" }).add({ points: 2, tags: ["c"] }).delete({ sizes: [1] }).append({ notes: ["y", "z"] }).remove(["extra"])
    .where(({ points, place }, { eq, exists }) => `${eq(points, 3)} AND ${exists(place)}`)
    .go({ response: "all_new" });
  assert.deepEqual([data.title, data.points, [...data.tags].sort(), [...data.sizes], data.notes, data.extra], ["T", 5, ["a", "b", "c"], [2.5], ["x", "y", "z"], undefined]);
  const { data: after } = await tasks.patch(key).data((attribute, operation) => {
    operation.set(attribute.place.city, "Bergen");
    operation.add(attribute.place.floor, 4);
    operation.append(attribute.place.rooms, ["s"]);
    operation.remove(attribute.notes[0]);
    operation.delete(attribute.tags, ["a"]);
    operation.ifNotExists(attribute.title, "never");
    operation.subtract(attribute.points, 1);
  }).go({ response: "all_new" });
  assert.deepEqual(after.place, { city: "Bergen", floor: 5, rooms: ["r", "s"] });
  assert.deepEqual([after.notes, [...after.tags].sort(), after.title, after.points], [["y", "z"], ["b", "c"], "T", 4]);
  const old = await tasks.update(key).subtract({ points: 1 }).go({ response: "updated_old" });
  assert.equal(old.data.points, 4);
  await assert.rejects(tasks.patch({ ...key, id: "none" }).set({ title: "x" }).go());
  await tasks.update({ ...key, id: "4" }).set({ owner: "eve", state: "open" }).go();
  assert.equal((await tasks.remove({ ...key, id: "4" }).go({ response: "all_old" })).data.owner, "eve");
  await tasks.delete({ ...key, id: "4" }).go();
}

async function queries() {
  const many = Array.from({ length: 60 }, (_, n) => ({ team: "blue", id: String(n).padStart(3, "0"), owner: n % 2 ? "ann" : "bob", state: n % 3 ? "open" : "closed", points: n }));
  assert.deepEqual((await tasks.put(many).go({ concurrency: 2 })).unprocessed, []);
  const { data: got } = await tasks.get(many.map(({ team, id }) => ({ team, id }))).go({ preserveBatchOrder: true });
  assert.deepEqual(got.map((task) => task.id), many.map((task) => task.id));
  let cursor = null, ids = [], turns = 0;
  do {
    const page = await tasks.query.byTeam({ team: "blue" }).go({ cursor, limit: 25 });
    ids.push(...page.data.map((task) => task.id));
    cursor = page.cursor;
    turns += 1;
  } while (cursor !== null);
  assert.deepEqual([ids, turns], [many.map((task) => task.id), 3]);
  const between = await tasks.query.byTeam({ team: "blue" }).between({ id: "010" }, { id: "019" }).go({ order: "desc" });
  assert.deepEqual([between.data.length, between.data[0].id], [10, "019"]);
  assert.equal((await tasks.query.byTeam({ team: "blue" }).begins({ id: "00" }).go()).data.length, 10);
  assert.equal((await tasks.query.byTeam({ team: "blue" }).gte({ id: "050" }).go({ pages: "all" })).data.length, 10);
  const filtered = await tasks.query.byOwner({ owner: "ann", state: "open" })
    .where(({ points, title }, { gt, notExists, value }) => `${gt(points, 10)} AND ${notExists(title)}`).go({ pages: "all" });
  assert.ok(filtered.data.every((task) => task.points > 10 && task.owner === "ann"));
  assert.equal(filtered.data.length, many.filter((task) => task.owner === "ann" && task.state === "open" && task.points > 10).length);
  assert.ok((await tasks.match({ team: "blue", state: "closed" }).go({ pages: "all" })).data.length >= 20);
  assert.equal((await tasks.scan.go({ pages: "all" })).data.length, 63);
  assert.deepEqual((await tasks.delete(many.slice(0, 30).map(({ team, id }) => ({ team, id }))).go()).unprocessed, []);
  assert.equal((await tasks.query.byTeam({ team: "blue" }).go({ hydrate: false, data: "raw", pages: "all" })).data.Items?.length ?? 30, 30);
}

async function collections() {
  await people.put([{ owner: "ann", team: "red", name: "Ann", salary: 1 }, { owner: "bob", team: "red", name: "Bob", salary: 2 }]).go();
  const { data } = await work.collections.assigned({ owner: "ann" }).go({ pages: "all" });
  assert.deepEqual(data.Person.map((person) => person.name), ["Ann"]);
  assert.equal(data.Task.length, 2 + 15);
  const some = await work.collections.assigned({ owner: "ann" }).where(({ salary, points }, { gt }) => `${gt(salary, 0)} OR ${gt(points, 1000)}`).go({ pages: "all" });
  assert.deepEqual([some.data.Person.length, some.data.Task.length], [1, 0]);
  assert.deepEqual((await people.query.byTeam({ team: "red" }).begins({ name: "B" }).go()).data.map((person) => person.owner), ["bob"]);
}

async function transactions() {
  const move = (salary) => work.transaction.write(({ Task: task, Person: person }) => [
    person.patch({ owner: "ann" }).add({ salary: -salary }).where(({ salary: there }, { gte }) => gte(there, salary)).commit({ response: "all_old" }),
    person.patch({ owner: "bob" }).add({ salary }).commit(),
    task.upsert({ ...key, id: "t", owner: "bob" }).commit(),
    task.check({ ...key, id: "1" }).where(({ owner }, { eq }) => eq(owner, "ann")).commit(),
    task.delete({ ...key, id: "2" }).commit(),
  ]).go();
  assert.equal((await move(1)).canceled, false);
  const again = await move(1);
  assert.equal(again.canceled, true);
  assert.deepEqual(again.data.map((each) => each.code), ["ConditionalCheckFailed", "None", "None", "None", "None"]);
  assert.equal(again.data[0].item.salary, 0);
  const read = await work.transaction.get(({ Task: task, Person: person }) => [
    person.get({ owner: "bob" }).commit(), task.get({ ...key, id: "2" }).commit(), task.get({ ...key, id: "t" }).commit(),
  ]).go();
  assert.deepEqual([read.data[0].item.salary, read.data[1].item, read.data[2].item.owner], [3, null, "bob"]);
}

async function expiry() {
  const now = Number(process.env.NOW);
  await tasks.put(["soon", "later"].map((id, n) => ({ team: "old", id, owner: "x", expires: now + 60 + n * 3600 }))).go();
  assert.equal((await tasks.get({ team: "old", id: "later" }).go()).data.expires, now + 3660);
}

for (const part of [create, items, updates, queries, collections, transactions, expiry]) {
  await part();
  console.log(part.name, "ok");
}
console.log("done");
