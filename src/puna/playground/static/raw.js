/** Raw: the exact prompt as one text, coloured and checked as it is typed, and the answer below it. */

import { post } from "./api.js";
import { atEnd, END, facts } from "./compare.js";
import { h, setValue } from "./dom.js";
import { running, runRecords } from "./run.js";
import { store } from "./store.js";
import { afterFrame, create } from "./tokens.js";

const LINT_MS = 120;
const ALTERNATIVES = 10;
const SEVERITIES = ["error", "warning", "note"];
const NOTHING = { spans: [], findings: [], fixed: null };

const parts = {};
let lint = NOTHING;
let drawn = "";
let chatPrompt = "";
let asked = 0;
let timer = 0;
let reply = null;

/** Builds the editor into `root` and keeps it in step with the store. */
export function init({ root }) {
  parts.text = h("textarea", { id: "raw-prompt", class: "raw-layer", spellcheck: "false", autocapitalize: "off", autocomplete: "off", oninput: typed });
  parts.mirror = h("pre", { class: "raw-layer raw-mirror", "aria-hidden": "true" });
  parts.editor = h("div", { class: "raw-editor" }, parts.mirror, parts.text);
  parts.findings = h("section", { class: "raw-findings", "aria-label": "Prompt check" });
  parts.reply = h("section", { class: "raw-reply", "aria-label": "Reply", hidden: true });
  const refill = h("button", { type: "button", class: "quiet", onclick: () => replace(0, parts.text.value.length, chatPrompt) }, "Fill from chat");
  parts.refill = refill;
  const head = h("div", { class: "raw-head" }, h("label", { for: "raw-prompt" }, "Raw prompt"), refill);
  root.replaceChildren(head, parts.editor, parts.findings, parts.reply);
  afterFrame(follow);
  store.subscribe(render);
  render(store.get(), store.get(), {});
}

function follow() {
  if (reply?.follows) reply.body.scrollTop = END;
}

/** The seed of the answer that is shown; null where there is none. */
export const lastSeed = () => reply?.seed ?? null;

function render(state, previous, { type }) {
  if (type === "load" || type === "fresh") {
    forget();
    chatPrompt = "";
  } else if (previous.mode !== "raw" && previous.anatomy) chatPrompt = previous.anatomy.prompt;
  if (state.mode !== "raw") return;
  if (previous.mode !== "raw" && !state.session.raw && chatPrompt) {
    store.dispatch({ type: "set", patch: { raw: chatPrompt } });
    return;
  }
  parts.refill.disabled = !chatPrompt || chatPrompt === state.session.raw;
  reply?.view.setHeat(state.heat);
  if (parts.text.value !== state.session.raw || drawn !== state.session.raw) {
    setValue(parts.text, state.session.raw);
    moved(state.session.raw);
  }
}

function typed() {
  store.dispatch({ type: "set", patch: { raw: parts.text.value } });
}

/** The text is another one: what is known of the old one moves along until the server has read the new one. */
function moved(text) {
  lint = shifted(lint, drawn, text);
  drawn = text;
  paint();
  clearTimeout(timer);
  timer = setTimeout(check, LINT_MS);
}

async function check() {
  const mine = (asked += 1);
  try {
    const found = await post("/api/lint", { prompt: drawn });
    if (mine !== asked) return;
    lint = found;
    paint();
    list("");
  } catch (error) {
    if (mine === asked) list(`Not checked: ${error.message}`);
  }
}

/** Ends of the part in which two texts differ: [start, end in the old one, end in the new one). */
function difference(before, now) {
  const most = Math.min(before.length, now.length);
  let start = 0;
  while (start < most && before[start] === now[start]) start += 1;
  let same = 0;
  while (same < most - start && before.at(-1 - same) === now.at(-1 - same)) same += 1;
  return [start, before.length - same, now.length - same];
}

function shifted(old, before, now) {
  const [start, end, ended] = difference(before, now);
  const by = ended - end;
  const move = (place) => (place.end <= start ? place : { ...place, start: place.start + by, end: place.end + by });
  const kept = (places) => places.filter((place) => place.end <= start || place.start >= end).map(move);
  return { ...old, spans: kept(old.spans), findings: kept(old.findings), fixed: null };
}

/** Draws the mirror: the text cut at every border of a span or a finding, each piece with the classes of both. */
function paint() {
  const borders = new Set([0, drawn.length]);
  for (const { start, end } of [...lint.spans, ...lint.findings]) borders.add(start).add(end);
  const cuts = [...borders].sort((a, b) => a - b);
  parts.mirror.replaceChildren(...cuts.flatMap((start, n) => [point(start), piece(start, cuts[n + 1] ?? start)]), "\n");
}

const worst = (findings) => SEVERITIES.find((severity) => findings.some((finding) => finding.severity === severity));

/** A mark between two characters, where a finding asks for something that is missing; it takes no room. */
function point(at) {
  const slip = worst(lint.findings.filter(({ start, end }) => start === at && end === at));
  return slip ? h("span", { class: `raw-point raw-slip-${slip}`, "data-start": at }) : "";
}

function piece(start, end) {
  if (start === end) return "";
  const over = (place) => place.start <= start && place.end >= end;
  const kind = lint.spans.find(over)?.kind;
  const slip = worst(lint.findings.filter(over));
  const text = drawn.slice(start, end);
  if (!kind && !slip) return text;
  const classes = [kind && `raw-${kind}`, slip && `raw-slip raw-slip-${slip}`, slip && text.startsWith("\n") && "raw-break"];
  return h("span", { class: classes.filter(Boolean).join(" "), "data-start": start }, text);
}

function list(trouble) {
  const { findings, fixed } = lint;
  const all = fixed !== null && fixed !== drawn ? h("button", { type: "button", class: "quiet", onclick: fixAll }, "Fix all") : null;
  const title = trouble || (findings.length ? `Findings (${findings.length})` : "No findings: the prompt is as its format writes it.");
  const rows = findings.map((finding) => h("li", { class: `raw-finding raw-finding-${finding.severity}` }, row(finding)));
  parts.findings.replaceChildren(
    h("div", { class: "raw-findings-head" }, findings.length ? h("h2", {}, title) : h("p", {}, title), all),
    ...(rows.length ? [h("ul", { role: "list", "aria-label": "Findings" }, rows)] : []),
  );
}

function row(finding) {
  const { code, severity, message, fix } = finding;
  const select = h("button", { type: "button", class: "raw-code", onclick: () => choose(finding) }, `${severity} ${code}`);
  const mend = fix === null ? null : h("button", { type: "button", onclick: () => replace(finding.start, finding.end, fix) }, "Fix");
  return [select, h("span", {}, message), mend];
}

function choose({ start, end }) {
  parts.text.focus({ preventScroll: true });
  parts.text.setSelectionRange(start, end);
  const at = [...parts.mirror.children].find((span) => Number(span.dataset.start) >= start);
  if (at) parts.editor.scrollTop = Math.max(0, at.offsetTop - parts.editor.clientHeight / 3);
}

/** Puts a text at [start, end) as one edit of the person's own, so that Ctrl+Z takes it back; no other call does that. */
function replace(start, end, text) {
  choose({ start, end });
  document.execCommand(text ? "insertText" : "delete", false, text);
}

function fixAll() {
  const [start, end, ended] = difference(drawn, lint.fixed);
  replace(start, end, lint.fixed.slice(start, ended));
}

/** Sends the raw text as it is and streams the answer below it. */
export async function send() {
  const { session, heat } = store.get();
  if (running() || !session.raw) return;
  const { raw: prompt, params } = session;
  const mine = { prompt, params, seed: null, view: null, node: null, body: null, follows: true };
  const result = await runRecords("raw", "/api/generate", { prompt, params, top: ALTERNATIVES }, (record) => receive(mine, record, heat));
  if (mine.view && mine === reply) settle(mine, result);
}

function receive(mine, record, heat) {
  if (record.type === "start") begin(mine, record, heat);
  if (record.type === "tok" && mine === reply) mine.view.push(record);
  if (record.type === "done") Object.assign(mine.node, { finish: record.finish, usage: record.usage, timings: record.timings });
}

function begin(mine, { seed, receipt }, heat) {
  forget();
  reply = mine;
  mine.seed = seed;
  mine.node = { params: mine.params, seed, receipt };
  const body = h("div", { class: "raw-answer", onscroll: () => (mine.follows = atEnd(body)) });
  parts.foot = h("p", { class: "raw-foot" }, "Streaming…");
  mine.body = body;
  parts.reply.replaceChildren(body, parts.foot);
  parts.reply.hidden = false;
  mine.view = create(body, { heat, onFocus: (i) => store.dispatch({ type: "lens", tok: mine.view.tokens[i] }) });
}

function settle(mine, { outcome, error }) {
  mine.view.finish();
  follow();
  const ends = { done: {}, stopped: { finish: "stopped" }, failed: { finish: "broken", error: error?.message } };
  const node = { ...mine.node, ...ends[outcome], tokens: mine.view.tokens };
  const add = () => replace(parts.text.value.length, parts.text.value.length, mine.view.text);
  parts.foot.replaceChildren(...facts(node), h("button", { type: "button", class: "link", onclick: add }, "Add to the prompt"));
}

function forget() {
  reply?.view?.destroy();
  reply = null;
  parts.reply.replaceChildren();
  parts.reply.hidden = true;
}
