// The page: which view is shown, and how often it looks. A page that nobody sees does not look.

import { dateTime, el, get, Refused, show, state } from "./dom.js";
import { mapView } from "./map.js";
import { clockView, functionsView, queuesView, stackNames, stacksView } from "./panes.js";
import { tracesView } from "./traces.js";

const VIEWS = { map: mapView, traces: tracesView, stacks: stacksView, queues: queuesView, functions: functionsView, clock: clockView };
const EVERY_MS = { map: 1000 };
const OTHERS_MS = 2000;
const STACKS_MS = 5000;

const place = document.getElementById("view");
const trouble = document.getElementById("trouble");
const now = document.getElementById("now");
const stacks = document.getElementById("stack");
let view = "map";
let refresh = null;
let turn = 0;
let listed = 0;

function open() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  view = name in VIEWS ? name : "map";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  trouble.textContent = "";
  const main = el("div");
  place.replaceChildren(main);
  refresh = VIEWS[view](main, decodeURIComponent(rest.join("/")));
  turn += 1;
  go(turn);
}

async function go(mine) {
  if (!document.hidden) {
    try {
      await Promise.all([refresh(), surroundings()]);
      if (mine === turn) trouble.textContent = "";
    } catch (error) {
      if (mine === turn) trouble.textContent = error instanceof Refused ? error.message : `The cloud does not answer (${error.message}). It is asked again.`;
    }
  }
  if (mine === turn) setTimeout(() => { if (mine === turn) go(mine); }, EVERY_MS[view] || OTHERS_MS);
}

async function surroundings() {
  const clock = await get("/_cumulet/clock");
  now.textContent = `${dateTime(clock.now)} UTC, ${clock.mode}`;
  if (Date.now() - listed < STACKS_MS) return;
  listed = Date.now();
  const names = await stackNames();
  if (state.stack && !names.includes(state.stack)) names.push(state.stack);
  const options = [["", "everything"], ...names.map((name) => [name, name])];
  show(stacks, options.map(([value, label]) => el("option", { value }, label)), JSON.stringify(options));
  stacks.value = state.stack;
}

stacks.addEventListener("change", () => {
  state.stack = stacks.value;
  const address = new URL(location.href);
  if (state.stack) address.searchParams.set("stack", state.stack);
  else address.searchParams.delete("stack");
  history.replaceState(null, "", address);
  open();
});
window.addEventListener("hashchange", open);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  turn += 1;
  go(turn);
});
open();
