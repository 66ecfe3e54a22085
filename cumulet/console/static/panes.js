// Stacks, queues, functions and the clock.

import { call, clockTime, dateTime, el, every, get, number, post, show, soft, state, table, unless } from "./dom.js";

export async function stackNames() {
  const found = await unless([], every("cloudformation", "DescribeStacks", "Stacks"));
  return found.map((stack) => stack.StackName).sort();
}

export function stacksView(place) {
  return async () => {
    const stacks = (await every("cloudformation", "DescribeStacks", "Stacks")).filter((each) => !state.stack || each.StackName === state.stack);
    const parts = [];
    for (const stack of stacks) {
      const resources = await unless([], every("cloudformation", "ListStackResources", "StackResourceSummaries", { StackName: stack.StackName }));
      parts.push([stack, resources]);
    }
    const content = parts.flatMap(([stack, resources]) => [
      el("h2", {}, `${stack.StackName} `, el("span", { class: /FAILED|ROLLBACK/.test(stack.StackStatus) ? "error" : "soft" }, stack.StackStatus)),
      stack.StackStatusReason ? el("p", { class: "error" }, stack.StackStatusReason) : null,
      stack.Outputs && stack.Outputs.length
        ? table(["Output", "Value", "Description"], stack.Outputs.map((each) => [each.OutputKey, [each.OutputValue, { class: "mono" }], each.Description || ""]))
        : null,
      table(["Resource", "Type", "Name", "Status"], resources.map((each) => [
        each.LogicalResourceId, each.ResourceType, [each.PhysicalResourceId || "", { class: "mono" }],
        [each.ResourceStatus, { class: each.ResourceStatus.includes("FAILED") ? "error" : "" }],
      ])),
    ].filter(Boolean));
    show(place, content.length ? content : soft("No stack is deployed."), JSON.stringify(parts));
  };
}

// The physical ids of the chosen stack's resources of a type; null where no stack is chosen.
async function inStack(type) {
  if (!state.stack) return null;
  const found = await unless([], every("cloudformation", "ListStackResources", "StackResourceSummaries", { StackName: state.stack }));
  return new Set(found.filter((each) => each.ResourceType === type).map((each) => each.PhysicalResourceId));
}

export function queuesView(place) {
  const listed = el("section");
  const inside = el("section", { "aria-live": "polite" });
  let chosen = null;
  place.replaceChildren(listed, inside);
  const look = async () => {
    if (chosen === null) return;
    const messages = await queueMessages(chosen);
    show(inside, [el("h2", {}, chosen.split(":").pop()), messages], messages.textContent);
  };
  return async () => {
    const mine = await inStack("AWS::SQS::Queue");
    const urls = await every("sqs", "ListQueues", "QueueUrls", { MaxResults: 1000 });
    const queues = [];
    for (const url of urls) {
      const name = url.split("/").pop();
      if (mine && ![...mine].some((id) => id.split("/").pop() === name)) continue;
      const answer = await unless(null, call("sqs", "GetQueueAttributes", { QueueUrl: url, AttributeNames: ["All"] }));
      if (answer) queues.push({ name, ...answer.Attributes });
    }
    const dead = new Map();
    for (const queue of queues) {
      const target = JSON.parse(queue.RedrivePolicy || "{}").deadLetterTargetArn;
      if (target) dead.set(target, [...(dead.get(target) || []), queue.name]);
    }
    const functions = await unless([], every("lambda", "ListFunctions", "Functions", {}, "Marker", "NextMarker"));
    for (const one of functions) {
      const target = (one.DeadLetterConfig || {}).TargetArn;
      if (target) dead.set(target, [...(dead.get(target) || []), one.FunctionName]);
    }
    const mappings = await unless([], every("lambda", "ListEventSourceMappings", "EventSourceMappings", {}, "Marker", "NextMarker"));
    for (const one of mappings) {
      const target = ((one.DestinationConfig || {}).OnFailure || {}).Destination;
      if (target) dead.set(target, [...(dead.get(target) || []), one.EventSourceArn.split(":").slice(5).join(":")]);
    }
    const rows = queues.map((queue) => [
      el("button", { class: "link", "data-key": queue.QueueArn, onclick: () => { chosen = queue.QueueArn; return look(); } }, queue.name),
      number(queue.ApproximateNumberOfMessages), number(queue.ApproximateNumberOfMessagesNotVisible), number(queue.ApproximateNumberOfMessagesDelayed),
      dead.has(queue.QueueArn) ? `dead letters of ${dead.get(queue.QueueArn).join(", ")}` : "",
    ]);
    const heads = ["Queue", ["Waiting", { class: "number" }], ["In flight", { class: "number" }], ["Delayed", { class: "number" }], "Role"];
    show(listed, rows.length ? table(heads, rows) : soft("There is no queue."), JSON.stringify([queues, [...dead]]));
    await look();
  };
}

// The first messages of a queue, without receiving them.
export async function queueMessages(arn) {
  const answer = await unless({ Messages: [] }, call("sqs", "cumulet:Peek", { QueueArn: arn, Limit: 20 }));
  if (!answer.Messages.length) return soft("It is empty.");
  return el("div", {}, answer.Messages.map((message) => {
    const attributes = message.Attributes || {};
    const said = Object.entries(message.MessageAttributes || {}).map(([name, value]) => `${name}: ${value.StringValue ?? "(binary)"}`);
    const trace = /Root=([^;]+)/.exec(message.Trace || "");
    return el("article", {},
      el("p", {},
        el("span", { class: "mono" }, message.MessageId), ` ${message.State}, received ${attributes.ApproximateReceiveCount || 0} times, sent `,
        dateTime(Number(attributes.SentTimestamp || 0) / 1000), trace && " ",
        trace && el("a", { href: `#traces/${encodeURIComponent(trace[1])}` }, "trace")),
      said.length ? el("p", { class: "error" }, said.join("; ")) : null,
      el("pre", {}, message.Body));
  }));
}

export function functionsView(place) {
  const listed = el("section");
  const lines = el("section", { "aria-live": "polite" });
  let chosen = null;
  place.replaceChildren(listed, lines);
  const look = async () => {
    if (chosen === null) return;
    const found = await logLines(chosen, 200);
    show(lines, [el("h2", {}, chosen), found], found.textContent);
  };
  return async () => {
    const mine = await inStack("AWS::Lambda::Function");
    const functions = (await every("lambda", "ListFunctions", "Functions", {}, "Marker", "NextMarker")).filter((each) => !mine || mine.has(each.FunctionName));
    const rows = functions.map((each) => [
      el("button", { class: "link", "data-key": each.FunctionName, onclick: () => { chosen = each.FunctionName; return look(); } }, each.FunctionName),
      each.Runtime || each.PackageType, each.Handler || "", number(`${each.MemorySize} MB`), number(`${each.Timeout} s`),
    ]);
    const heads = ["Function", "Runtime", "Handler", ["Memory", { class: "number" }], ["Timeout", { class: "number" }]];
    show(listed, rows.length ? table(heads, rows) : soft("There is no function."), JSON.stringify(functions));
    await look();
  };
}

// The newest lines of a function's log group: of the streams that were written to last.
export async function logLines(name, limit) {
  const group = { logGroupName: `/aws/lambda/${name}` };
  const newest = { orderBy: "LastEventTime", descending: true, limit: 5 };
  const streams = await unless({ logStreams: [] }, call("logs", "DescribeLogStreams", { ...group, ...newest }));
  const events = [];
  for (const stream of streams.logStreams) {
    const page = await unless({ events: [] }, call("logs", "GetLogEvents", { ...group, logStreamName: stream.logStreamName, limit, startFromHead: false }));
    events.push(...page.events);
  }
  if (!events.length) return soft("It has written nothing yet.");
  events.sort((a, b) => a.timestamp - b.timestamp);
  return el("pre", { tabindex: "0", "aria-label": "Log lines" }, events.slice(-limit).map((event) => `${clockTime(event.timestamp / 1000)} ${event.message.trimEnd()}\n`).join(""));
}

export function clockView(place) {
  const told = el("section");
  const seconds = el("input", { type: "number", min: "0", step: "any", value: "60", "aria-label": "Seconds" });
  const answer = el("p", { class: "error", role: "status" });
  const refresh = async () => {
    const clock = await get("/_cumulet/clock");
    show(told, [el("h2", {}, `${dateTime(clock.now)} UTC`), el("p", {}, `The clock is ${clock.mode}.`)]);
  };
  const order = async (what) => {
    answer.textContent = "";
    try {
      await post("/_cumulet/clock", what);
    } catch (error) {
      answer.textContent = error.message;
    }
    await refresh();
  };
  const advance = (event) => { event.preventDefault(); return order({ advance: Number(seconds.value) }); };
  place.replaceChildren(told,
    el("form", { onsubmit: advance }, seconds, el("button", {}, "Advance by these seconds")),
    el("p", {}, el("button", { onclick: () => order({ freeze: true }) }, "Freeze"), " ",
      el("button", { onclick: () => order({ jump: true }) }, "Jump to what comes due"), " ",
      el("button", { onclick: () => order({ real: true }) }, "Real time")),
    answer);
  return refresh;
}
