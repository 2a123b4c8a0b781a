/** The dialog that shows the branch as a program: the server writes the text, the page shows, copies and saves it. */

import { post } from "./api.js";
import { copyButton, h } from "./dom.js";
import { lastSeed } from "./raw.js";
import { path, store, talk } from "./store.js";

const TARGETS = [
  { target: "curl", label: "curl" },
  { target: "boto3", label: "boto3" },
  { target: "openai", label: "openai" },
  { target: "client", label: "client" },
  { target: "notebook", label: "notebook" },
];

let dialog = null;
let tabs = [];
let chosen = 0;
let file = null;
let asked = 0;
const parts = {};

/** Builds the dialog. */
export function init(options) {
  dialog = options.dialog;
  tabs = TARGETS.map(tab);
  parts.text = h("pre", {});
  parts.note = h("p", { class: "export-note", role: "status" });
  parts.copy = copyButton(h("button", { type: "button" }, "Copy"), () => file.text);
  parts.save = h("button", { type: "button", onclick: () => save(file) }, "Download");
  const bar = h("div", { class: "dialog-tabs", role: "tablist", "aria-label": "Export as", onkeydown: walk }, tabs);
  parts.panel = h("div", { id: "export-panel", class: "export-panel", role: "tabpanel", tabindex: "0" }, parts.text);
  const foot = h("div", { class: "dialog-foot" }, parts.note, parts.copy, parts.save);
  const close = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close");
  dialog.replaceChildren(h("div", { class: "row" }, h("h2", {}, "Export"), close), bar, parts.panel, foot);
}

/** Opens the dialog with the branch that is shown, or with the raw prompt in Raw. */
export function open() {
  if (!dialog.open) dialog.showModal();
  choose(chosen);
}

function tab({ target, label }, n) {
  const props = { type: "button", role: "tab", id: `export-${target}`, "aria-controls": "export-panel", onclick: () => choose(n) };
  return h("button", props, label);
}

function walk(event) {
  const last = tabs.length - 1;
  const to = { ArrowLeft: chosen ? chosen - 1 : last, ArrowRight: chosen < last ? chosen + 1 : 0, Home: 0, End: last }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  choose(to);
  tabs[to].focus();
}

function choose(n) {
  chosen = n;
  for (const [at, button] of tabs.entries()) {
    button.setAttribute("aria-selected", String(at === n));
    button.tabIndex = at === n ? 0 : -1;
  }
  parts.panel.setAttribute("aria-labelledby", tabs[n].id);
  load(TARGETS[n].target);
}

async function load(target) {
  const mine = (asked += 1);
  const [body, note] = conversation(store.get());
  if (!body) return show(null, note);
  show(null, "");
  try {
    const answer = await post("/api/export", { ...body, target });
    if (mine === asked) show(answer, note);
  } catch (error) {
    if (mine === asked) show(null, error.message);
  }
}

function show(answer, note) {
  file = answer;
  parts.text.textContent = answer?.text ?? "";
  parts.panel.scrollTop = 0;
  parts.note.textContent = note;
  parts.copy.disabled = !answer;
  parts.save.disabled = !answer;
}

/** What is exported, without its target, and a sentence about the seed; null where there is nothing to send. */
function conversation(state) {
  const { session, mode } = state;
  if (mode === "raw") return rawBody(session);
  const line = path(session);
  const question = line.findLastIndex((node) => node.role === "user");
  if (session.draft.trim() && (mode === "compare" || question < 0)) return seeded(talk(state, { message: session.draft }), session);
  if (question < 0) return [null, "Nothing to export yet: write a message first."];
  return begunBy(line[question + 1], seeded(talk(state, { upTo: line[question].id }), session, line[question + 1]), state);
}

/** With the tokens that the reply was given, and a word on what makes the program's text another than the page's. */
function begunBy(reply, [body, note], { session, info }) {
  if (!reply?.params) return [body, note];
  const given = (reply.tokens ?? []).slice(0, reply.begun ?? 0);
  const begun = given.every(([id]) => id !== null) ? given.map(([id, text]) => [id, text]) : [];
  const changed = info.params.filter(({ name }) => name !== "seed" && reply.params[name] !== session.params[name]).map(({ label }) => label);
  const words = [note];
  if (begun.length) words.push(`It goes on after the ${begun.length} tokens that the reply was given, and prints the rest.`);
  if (changed.length) words.push(`Changed since that reply, so that the text will differ: ${changed.join(", ")}.`);
  return [begun.length ? { ...body, begun } : body, words.join(" ")];
}

function rawBody(session) {
  if (!session.raw) return [null, "Nothing to export yet: the raw prompt is empty."];
  return seeded({ prompt: session.raw, params: session.params }, session, { seed: lastSeed() });
}

function seeded(body, { title, params }, reply = null) {
  const used = reply?.seed ?? null;
  const seed = params.seed ?? used;
  return [{ ...body, title, params: { ...params, seed } }, seedWords(params.seed, used)];
}

function seedWords(given, used) {
  if (Number.isInteger(given)) return `With seed ${given}, as set.`;
  return Number.isInteger(used) ? `With seed ${used}, that of the last reply.` : "Without a seed: each run draws its own.";
}

/** Hands a text to the person as a file. */
export function save({ filename, media_type: type, text }) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: filename }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
