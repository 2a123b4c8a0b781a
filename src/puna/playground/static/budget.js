/** The prompt as the server sees it, asked for after every change, and the bar that shows how full the window is. */

import { post } from "./api.js";
import { byId, h } from "./dom.js";
import { path, store, talk } from "./store.js";

const DELAY = 120; // milliseconds without a change before the server is asked
const WARN = 0.8;
const FULL = 0.95;
const PARTS = [["system", "system"], ["context", "context"], ["history", "history"], ["turn", "this turn"], ["reserve", "reserved for the reply"]];
const WATCHED = ["system", "context", "examples", "only", "policy", "params", "draft", "raw", "leaf", "nodes", "id"];

let wanted = 0; // number of the newest change
let timer = 0;
let pending = null; // {promise, resolve} while the newest change has no answer
let problem = "";
let away = false; // the server did not answer the last time

/** Keeps anatomy and bar in step with the store. */
export function init() {
  store.subscribe((state, previous) => {
    if (changed(state, previous)) schedule();
    if (state.anatomy !== previous.anatomy) draw(state);
  });
}

function changed(a, b) {
  if (a.mode !== b.mode || a.compare.panes !== b.compare.panes || (a.info && !b.info)) return true;
  return WATCHED.some((name) => a.session[name] !== b.session[name]) && !(a.run && onlyTokens(a, b));
}

/** While a reply grows, its text is no part of the prompt that it answers. */
const onlyTokens = (a, b) => a.session.nodes !== b.session.nodes && WATCHED.every((name) => name === "nodes" || a.session[name] === b.session[name]);

/** Asks the server again, soon. */
export function schedule() {
  wanted += 1;
  clearTimeout(timer);
  if (!pending) {
    pending = {};
    pending.promise = new Promise((resolve) => (pending.resolve = resolve));
  }
  timer = setTimeout(ask, DELAY);
}

/** Resolves when the newest change has been counted; gives the anatomy, null where the server could not tell. */
export async function counted() {
  await pending?.promise;
  return store.get().anatomy;
}

/** What the prompt is made of now: the branch and the draft, or the branch alone while its last message is answered. */
function question(state) {
  const { session, mode } = state;
  if (mode === "raw") return { prompt: session.raw, params: session.params };
  const last = path(session).at(-1);
  const params = mode === "compare" ? widest(state) : session.params;
  if (state.run?.kind === "chat") return { ...talk(state, { upTo: last?.role === "assistant" ? last.parent : session.leaf }), params };
  if (last?.role !== "user") return { ...talk(state, { message: session.draft }), params };
  return { ...(session.draft ? talk(state, { message: session.draft, upTo: last.parent }) : talk(state)), params };
}

/** In Compare the pane that reserves most decides. */
function widest({ session, compare }) {
  const reserves = compare.panes.map(({ params }) => params?.max_tokens ?? 0);
  return reserves.length ? { ...session.params, max_tokens: Math.max(...reserves) } : session.params;
}

async function ask() {
  const mine = wanted;
  const data = await answered();
  store.dispatch({ type: "anatomy", data, seq: mine });
  if (!data) draw(store.get());
  if (mine !== wanted && !away) return; // nobody waits for a server that is away
  pending?.resolve();
  pending = null;
}

/** The server's answer; the last one while it is away, null where it refused, with its words in `problem`. */
async function answered() {
  problem = "";
  away = false;
  try {
    return await post("/api/anatomy", question(store.get()));
  } catch (error) {
    away = error.code === "offline";
    if (away || error.code === "loading") return store.get().anatomy;
    problem = error.message;
    return null;
  }
}

function draw({ anatomy }) {
  const bar = byId("budget");
  const send = byId("send");
  byId("remedies").hidden = !anatomy?.over;
  if (!anatomy) return drawProblem(bar, send);
  if (anatomy.parts === null || anatomy.context === null) return drawUntold(bar, send, anatomy);
  const { prompt_tokens: prompt, reserve, context, over, parts, free } = anatomy;
  const used = prompt + reserve;
  const sizes = { ...parts, reserve };
  bar.className = over ? "over" : used >= FULL * context ? "full" : used >= WARN * context ? "warn" : "";
  bar.replaceChildren(drawBar(sizes, Math.max(used, context)), drawLegend(sizes, used, context, over));
  bar.setAttribute("aria-valuemax", context);
  bar.setAttribute("aria-valuenow", Math.min(used, context));
  bar.setAttribute("aria-valuetext", valueText(sizes, used, context, free, over));
  const reason = over ? `${over} tokens over the context window: lower Max tokens, shorten, or prune.` : "";
  byId("reason").textContent = reason;
  byId("send").dataset.over = String(over > 0);
  if (over) drawRemedies(anatomy);
}

function drawProblem(bar, send) {
  drawWords(bar, send, problem, "budget-legend problem");
  bar.setAttribute("aria-valuetext", problem || "not counted yet");
  byId("reason").textContent = problem;
}

/** What there is to say where the server behind the endpoint does not tell how many tokens there are, or how many may be. */
function drawUntold(bar, send, { prompt_tokens: prompt, reserve, context, over }) {
  const counted = prompt === null ? "The prompt's tokens are counted by the server behind this endpoint" : `${prompt} tokens`;
  const whole = context === null ? "how large its window is, it does not tell" : `the window holds ${context}`;
  const text = `${counted}; ${reserve} are asked for the reply; ${whole}${over ? `: ${over} over` : ""}.`;
  byId("remedies").hidden = true;
  drawWords(bar, send, text, "budget-legend");
  bar.setAttribute("aria-valuetext", text);
  byId("reason").textContent = over ? text : "";
  send.dataset.over = String(over > 0);
}

function drawWords(bar, send, text, className) {
  bar.className = "";
  bar.replaceChildren(h("p", { class: className }, text));
  for (const [name, value] of [["aria-valuemax", 1], ["aria-valuenow", 0]]) bar.setAttribute(name, value);
  send.dataset.over = "false";
}

function drawBar(sizes, whole) {
  const part = ([name]) => {
    const el = h("span", { class: `budget-part budget-${name}` });
    el.style.setProperty("width", `${(100 * sizes[name]) / whole}%`);
    return el;
  };
  return h("div", { class: "budget-bar" }, PARTS.filter(([name]) => sizes[name] > 0).map(part));
}

function drawLegend(sizes, used, context, over) {
  const entry = ([name, label]) => h("span", { class: "budget-key" }, h("i", { class: `budget-${name}` }), `${label} ${sizes[name]}`);
  const total = h("strong", { class: "budget-total" }, `${used} / ${context}${over ? ` — ${over} over` : ""}`);
  return h("p", { class: "budget-legend" }, PARTS.filter(([name]) => sizes[name] > 0).map(entry), total);
}

function valueText(sizes, used, context, free, over) {
  const parts = PARTS.map(([name, label]) => `${label} ${sizes[name] ?? 0}`).join(", ");
  return `${used} of ${context} tokens: ${parts}, ${over ? `${over} over` : `free ${free}`}`;
}

function drawRemedies({ fits_max_tokens: fits, parts }) {
  const { mode, session } = store.get();
  const button = (text, onclick) => h("button", { type: "button", class: "quiet", onclick }, text);
  const lower = fits ? button(`Lower Max tokens to ${fits}`, () => store.dispatch({ type: "params", patch: { max_tokens: fits } })) : null;
  const shorten = button(parts.turn > 0 && mode !== "raw" ? "Shorten the message" : "Shorten the prompt", () => byId(mode === "raw" ? "raw" : "message").focus());
  const prune = session.policy === "none" && mode !== "raw" ? button("Prune the oldest turns", () => store.dispatch({ type: "set", patch: { policy: "oldest" } })) : null;
  byId("remedies").replaceChildren(h("span", {}, "The way out:"), ...[lower, shorten, prune].filter(Boolean));
}
