// What all views share: elements made without HTML text, requests, times. Everything that is shown goes through textContent.

const asked = new URLSearchParams(location.search);
export const state = { stack: asked.get("stack") || "", region: asked.get("region") || "us-east-1" };

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// Put new content in place of the old one, where it changed; what had the focus keeps it.
export function show(place, content, signature) {
  if (signature !== undefined && place.dataset.signature === signature) return;
  if (signature === undefined) delete place.dataset.signature;
  else place.dataset.signature = signature;
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  place.replaceChildren(...[content].flat());
  if (focused === undefined) return;
  for (const candidate of place.querySelectorAll("[data-key]")) if (candidate.dataset.key === focused) candidate.focus();
}

export class Refused extends Error {}

async function answered(path, options) {
  const answer = await fetch(path, { cache: "no-store", ...options });
  if (!answer.ok) {
    let message = `${answer.status} ${answer.statusText}`;
    try {
      message = (await answer.json()).message || message;
    } catch { /* no JSON: the status says it */ }
    throw new Refused(message);
  }
  return answer;
}

export const get = async (path) => (await answered(path)).json();
export const text = async (path) => (await answered(path)).text();
export const post = async (path, order) => (await answered(path, { method: "POST", body: JSON.stringify(order) })).json();

export async function call(service, operation, request = {}) {
  const options = { method: "POST", body: JSON.stringify(request), headers: { "x-cumulet-region": state.region } };
  return (await answered(`/_cumulet/call/${service}/${operation}`, options)).json();
}

// All pages of a listing.
export async function every(service, operation, member, request = {}, token = "NextToken", next = token) {
  const found = [];
  for (let page = {}; ; ) {
    const answer = await call(service, operation, { ...request, ...page });
    found.push(...(answer[member] || []));
    if (!answer[next]) return found;
    page = { [token]: answer[next] };
  }
}

// What was answered before, where it is refused now: a resource that is gone.
export async function unless(refused, promise) {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof Refused) return refused;
    throw error;
  }
}

export const query = (more = {}) => new URLSearchParams({ stack: state.stack, region: state.region, ...more });
export const clockTime = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 23);
export const dateTime = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
export const took = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms >= 10 ? 1 : 2)} ms`);
export const soft = (words) => el("p", { class: "soft" }, words);

export function table(heads, rows) {
  const cells = (kind, row) => row.map((cell) => {
    const [value, attributes] = Array.isArray(cell) ? cell : [cell, {}];
    return el(kind, kind === "th" ? { ...attributes, scope: "col" } : attributes, value);
  });
  return el("div", { class: "table" }, el("table", {},
    el("thead", {}, el("tr", {}, cells("th", heads))),
    el("tbody", {}, rows.map((row) => el("tr", {}, cells("td", row)))),
  ));
}

export const number = (value) => [String(value), { class: "number" }];
