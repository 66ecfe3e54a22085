// Traces: the newest ones, and one of them as a waterfall.

import { clockTime, el, get, number, show, soft, table, took } from "./dom.js";

export function traceButton(id, choose) {
  return el("button", { class: "link", "data-key": `trace ${id}`, onclick: () => choose(id) }, id);
}

export function traceTable(traces, choose) {
  return table(
    [["Began", {}], ["Took", { class: "number" }], "Status", "What", "Trace"],
    traces.map((each) => [
      clockTime(each.at),
      number(took(each.duration_ms)),
      [each.status, { class: each.status === "ok" ? "" : "error" }],
      [`${each.name || ""} ${each.detail || ""}`.trim(), {}],
      traceButton(each.trace_id, choose),
    ]),
  );
}

// The steps of a trace, each below its caller, with bars over the time that all took.
export function waterfall(spans) {
  if (!spans.length) return soft("This trace is not kept any more: the newest 10,000 steps are.");
  const known = new Set(spans.map((span) => span.span_id));
  const below = new Map();
  for (const span of spans) {
    const parent = known.has(span.parent_id) ? span.parent_id : null;
    if (!below.has(parent)) below.set(parent, []);
    below.get(parent).push(span);
  }
  const start = Math.min(...spans.map((span) => span.started));
  const all = Math.max(0.01, ...spans.map((span) => (span.started - start) * 1000 + span.duration_ms));
  const rows = [];
  const ahead = (below.get(null) || []).map((span) => [span, 0]).reverse();
  while (ahead.length) {
    const [span, depth] = ahead.pop();
    rows.push(row(span, depth, start, all));
    for (const child of (below.get(span.span_id) || []).slice().reverse()) ahead.push([child, depth + 1]);
  }
  return el("ol", { class: "waterfall" }, rows);
}

function row(span, depth, start, all) {
  const offset = (span.started - start) * 1000;
  const failed = span.status !== "ok";
  const name = el("span", { class: "name" }, span.name, " ", el("span", { class: "soft" }, span.detail));
  name.style.paddingLeft = `${Math.min(depth, 16) * 14}px`;
  const bar = el("span", { class: "bar" });
  bar.style.left = `${(offset / all) * 100}%`;
  bar.style.width = `${(span.duration_ms / all) * 100}%`;
  const said = failed && el("span", { class: "said" }, `${span.status}${span.error ? `: ${span.error}` : ""}`);
  return el("li", { class: failed ? "failed" : "", title: `${clockTime(span.at)} on the cloud's clock, ${offset.toFixed(2)} ms after the first step` },
    name, el("span", { class: "lane" }, bar), el("span", { class: "time" }, took(span.duration_ms)), said);
}

export async function traceOf(id) {
  return waterfall((await get(`/_cumulet/trace?id=${encodeURIComponent(id)}`)).spans);
}

// The view: #traces, #traces/ID
export function tracesView(place, id) {
  const field = el("input", { class: "id", name: "id", placeholder: "1-67890abc-...", value: id, "aria-label": "Trace id" });
  const one = el("section");
  const newest = el("section");
  const choose = (chosen) => { location.hash = `traces/${encodeURIComponent(chosen)}`; };
  const submit = (event) => { event.preventDefault(); choose(field.value.trim()); };
  place.replaceChildren(el("form", { onsubmit: submit }, field, el("button", {}, "Show")), one, newest);
  return async () => {
    if (id) {
      const spans = (await get(`/_cumulet/trace?id=${encodeURIComponent(id)}`)).spans;
      show(one, [el("h2", {}, `Trace ${id}`), waterfall(spans)], JSON.stringify(spans));
    }
    const { traces } = await get("/_cumulet/trace?limit=50&idle=no");
    const listed = traces.length ? traceTable(traces, choose) : soft("No traces since the server started.");
    show(newest, [el("h2", {}, "Newest"), listed], JSON.stringify(traces));
  };
}
