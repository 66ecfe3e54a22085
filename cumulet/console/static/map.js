// The live map: the server's drawing, and what is known of the node or the edge that is chosen.

import { dateTime, el, get, number, post, query, show, soft, state, table, text, took } from "./dom.js";
import { logLines, queueMessages } from "./panes.js";
import { traceOf, traceTable } from "./traces.js";

export function mapView(place) {
  const drawing = el("div", { class: "drawing" });
  const note = el("p", { class: "soft" });
  const details = el("section", { "aria-live": "polite" });
  const single = el("section");
  let found = { nodes: [], edges: [] };
  let chosen = null;
  let drawn = "";

  const anew = el("button", { onclick: async () => { await post("/_cumulet/map", { forget: true }); await refresh(); } }, "Count anew");
  place.replaceChildren(legend(anew), drawing, note, details, single);

  const choose = (id) => {
    chosen = id;
    single.replaceChildren();
    mark();
    return describe();
  };
  const mark = () => {
    for (const each of drawing.querySelectorAll("[data-id]")) each.classList.toggle("chosen", each.dataset.id === chosen);
  };
  const openTrace = async (id) => {
    single.replaceChildren(el("h2", {}, `Trace ${id}`), await traceOf(id));
    single.scrollIntoView({ block: "nearest" });
  };

  const take = (event) => {
    const target = event.target.closest("[data-id]");
    if (!target || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    choose(target.dataset.id);
  };
  drawing.addEventListener("click", take);
  drawing.addEventListener("keydown", take);

  const label = (id) => (found.nodes.find((node) => node.id === id) || { label: id }).label;

  async function describe() {
    if (chosen === null) return;
    const edge = found.edges.find((each) => each.id === chosen);
    const node = found.nodes.find((each) => each.id === chosen);
    if (edge) show(details, edgeDetails(edge, label, openTrace), JSON.stringify(edge));
    else if (node) {
      const own = found.edges.filter((each) => each.from === node.id || each.to === node.id);
      const signature = JSON.stringify([node, own]);
      if (node.kind !== "queue" && details.dataset.signature === signature) return; // no lines are asked for that were shown
      const [content, more] = await nodeDetails(node, own, label, openTrace);
      show(details, content, signature + more);
    } else details.replaceChildren();
  }

  async function refresh() {
    const drawnNow = await text(`/_cumulet/map.svg?${query({ style: "no" })}`);
    found = await get(`/_cumulet/map?${query()}`);
    if (drawnNow !== drawn) {
      drawn = drawnNow;
      const focused = drawing.contains(document.activeElement) ? document.activeElement.dataset.id : undefined;
      const parsed = new DOMParser().parseFromString(drawnNow, "image/svg+xml").documentElement;
      drawing.replaceChildren(document.importNode(parsed, true));
      mark();
      if (focused !== undefined) {
        for (const each of drawing.querySelectorAll("[data-id]")) if (each.dataset.id === focused) each.focus();
      }
    }
    const missed = found.missed ? ` ${found.missed} steps ran while nobody looked and are not counted.` : "";
    note.textContent = `Counted since ${dateTime(found.since)} by the cloud's clock, in memory: a reset, a restart and "Count anew" begin anew.${missed} ` +
      "Functions' own connections, to a database or to another site, are not seen.";
    await describe();
  }
  return refresh;
}

function legend(anew) {
  return el("p", { class: "legend" },
    el("span", {}, "Large arrow: asynchronous, nobody waits."),
    el("span", {}, "Two small arrows: synchronous, there and back."),
    el("span", { class: "error" }, "Red: errors, and what failed on its way to a dead-letter queue."),
    el("span", {}, "On an edge: calls, calls in the last minute, median."), anew);
}

function edgeDetails(edge, label, openTrace) {
  const facts = [
    ["Calls", String(edge.count)],
    ["In the last minute", String(edge.last_minute)],
    ["Median, p99", `${took(edge.median_ms)}, ${took(edge.p99_ms)}`],
    ["Errors", String(edge.errors)],
  ];
  if (edge.error) facts.push(["Last error", `${edge.error.code} at ${dateTime(edge.error.at)}${edge.error.message ? `: ${edge.error.message}` : ""}`]);
  const kind = edge.lost ? `${edge.kind}, takes away what failed` : edge.kind;
  return [
    el("h2", {}, `${label(edge.from)} → ${label(edge.to)} (${kind})`),
    el("dl", {}, facts.map(([name, value]) => [el("dt", {}, name), el("dd", { class: name === "Last error" ? "error" : "" }, value)])),
    traceTable(edge.traces, openTrace),
  ];
}

async function nodeDetails(node, own, label, openTrace) {
  const rows = own.map((edge) => [
    edge.to === node.id ? `from ${label(edge.from)}` : `to ${label(edge.to)}`,
    edge.kind, number(edge.count), number(edge.last_minute), number(took(edge.median_ms)),
    [edge.errors ? `${edge.errors}, last ${edge.error.code}` : "0", { class: edge.errors ? "error" : "" }],
  ]);
  const traces = own.flatMap((edge) => edge.traces).sort((a, b) => b.at - a.at);
  const newest = [...new Map(traces.map((each) => [each.trace_id, each])).values()].slice(0, 20);
  const content = [el("h2", {}, `${node.kind} ${node.label}`), el("p", { class: "mono" }, node.id)];
  content.push(rows.length
    ? table(["Calls", "Kind", ["Count", { class: "number" }], ["Last minute", { class: "number" }], ["Median", { class: "number" }], "Errors"], rows)
    : soft("It called nobody and nobody called it."));
  let more = [];
  if (node.kind === "function") more = [el("h3", {}, "Newest log lines"), await logLines(node.name, 100)];
  if (node.kind === "queue") more = [el("h3", {}, "First messages"), await queueMessages(node.id)];
  if (newest.length) content.push(el("h3", {}, "Traces through it"), traceTable(newest, openTrace));
  content.push(...more);
  return [content, node.kind === "queue" ? more.map((each) => each.textContent).join("") : ""];
}
