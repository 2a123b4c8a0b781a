/** Compare: two to four settings answer the same message side by side, all from one request. */

import { branch } from "./chat.js";
import { byId, h } from "./dom.js";
import { running, runRecords } from "./run.js";
import { live, path, store, talk } from "./store.js";
import { afterFrame, create } from "./tokens.js";

const LETTERS = "ABCD";
const LEAST = 2;
const ALTERNATIVES = 10;
/** A scrollTop beyond every end: it shows the end without a look at the layout. */
export const END = Number.MAX_SAFE_INTEGER;
const NEAR_END = 8; // pixels from its end at which a pane still follows its text
const FIRST = [{ temperature: 0.1 }, { temperature: 0.9 }]; // what the first two panes have of their own
const FINISH = { stop: "finished", stopped: "stopped", broken: "broken off", unknown: "finished, the engine does not say why" };

const shown = new Map(); // key of a pane in the store -> its elements
const parts = {};
let keys = 0;

/** Builds the panes into `root` and keeps them in step with the store. */
export function init({ root }) {
  parts.asked = h("p", { class: "compare-asked" });
  parts.diff = h("input", { type: "checkbox", onchange: markAll });
  parts.add = h("button", { type: "button", class: "quiet", onclick: add }, "Add pane");
  parts.panes = h("div", { class: "compare-panes" });
  parts.form = h("div", { class: "compare-settings", popover: "auto", role: "dialog", "aria-label": "Settings" });
  const toggle = h("label", { class: "check" }, parts.diff, "Mark first difference");
  root.replaceChildren(h("div", { class: "compare-head" }, parts.asked, toggle, parts.add), parts.panes, parts.form);
  parts.form.addEventListener("focusout", (event) => parts.form.contains(event.relatedTarget) || event.relatedTarget && parts.form.hidePopover());
  afterFrame(follow);
  store.subscribe(render);
  render(store.get(), store.get());
}

const lettered = (n) => LETTERS[n];
const panesOf = () => store.get().compare.panes;
const setPanes = (panes) => store.dispatch({ type: "panes", panes });

/** A pane: what it has of its own, over the settings in Setup. `params` is the full set that is sent. */
const pane = (own, base) => ({ key: (keys += 1), own, params: { ...base, ...own } });

function render(state, previous) {
  const { panes } = state.compare;
  const base = state.session.params;
  if (state.mode === "compare" && state.info && !panes.length) return setPanes(FIRST.map((own) => pane(own, base)));
  if (panes.some(({ own, params }) => !sameParams(params, { ...base, ...own }))) {
    return setPanes(panes.map((old) => ({ ...old, params: { ...base, ...old.own } })));
  }
  if (panes !== previous.compare.panes) arrange(panes);
  if (state.info) for (const [n, { key }] of panes.entries()) title(shown.get(key), n, state);
  for (const part of shown.values()) part.view?.setHeat(state.heat);
  parts.add.disabled = panes.length >= Math.min(LETTERS.length, state.info?.limits?.panes ?? LETTERS.length) || state.run !== null;
  return undefined;
}

const sameParams = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** Makes the elements of new panes and takes those of old ones away. */
function arrange(panes) {
  for (const [key, part] of shown) if (!panes.some((entry) => entry.key === key)) drop(key, part);
  for (const { key } of panes) if (!shown.has(key)) shown.set(key, built(key));
  parts.panes.dataset.count = panes.length;
  const elements = panes.map(({ key }) => shown.get(key).el);
  if (elements.some((el, n) => el !== parts.panes.children[n])) parts.panes.replaceChildren(...elements);
  markAll();
  if (!panes.some(({ key }) => shown.get(key)?.reply)) parts.asked.textContent = "The same message, answered with each of these settings.";
}

function drop(key, part) {
  part.view?.destroy();
  part.el.remove();
  shown.delete(key);
}

function built(key) {
  const part = { key, view: null, reply: null, follows: true };
  part.name = h("span", {});
  const mark = [h("span", { "aria-hidden": "true" }, "\u00a0•"), h("span", { class: "hidden" }, " modified")];
  part.dot = h("span", { class: "dot", title: "Modified: not as in Setup", hidden: true }, mark);
  part.edit = h("button", { type: "button", class: "quiet", "aria-haspopup": "dialog", onclick: () => openForm(part) }, "Edit settings");
  part.use = h("button", { type: "button", class: "quiet", disabled: true, onclick: () => use(part) }, "Use");
  part.remove = h("button", { type: "button", class: "quiet", onclick: () => remove(part) }, "×");
  part.body = h("div", { class: "compare-body", onscroll: () => (part.follows = atEnd(part.body)) });
  part.facts = h("span", { class: "compare-facts" });
  part.differs = h("button", { type: "button", class: "link", hidden: true, onclick: () => showMark(part) });
  part.stale = h("span", { class: "compare-stale", hidden: true }, "settings changed since");
  const head = h("div", { class: "compare-pane-head" }, h("h2", {}, part.name, part.dot), part.edit, part.use, part.remove);
  part.el = h("section", { class: "compare-pane", role: "region" }, head, part.body, h("p", { class: "compare-foot" }, part.facts, part.stale, part.differs));
  empty(part);
  return part;
}

/** Whether a scrolled element shows its end. */
export const atEnd = (el) => el.scrollHeight - el.scrollTop - el.clientHeight < NEAR_END;

function empty(part) {
  part.body.replaceChildren(h("p", { class: "compare-empty" }, "Run all to see this pane's reply."));
}

function title(part, n, { compare, info, run }) {
  const { own } = compare.panes[n];
  part.name.textContent = `${lettered(n)} · ${differing(compare.panes, n, info)}`;
  part.el.setAttribute("aria-label", lettered(n));
  part.dot.hidden = !Object.keys(own).length;
  part.edit.setAttribute("aria-describedby", (part.name.id = `compare-name-${part.key}`));
  part.use.setAttribute("aria-describedby", part.name.id);
  part.use.disabled = run !== null || !part.reply?.tokens;
  part.remove.hidden = compare.panes.length <= LEAST;
  part.remove.disabled = run !== null;
  part.remove.setAttribute("aria-label", `Remove pane ${lettered(n)}`);
  part.stale.hidden = !part.reply || sameParams(part.reply.params, compare.panes[n].params);
}

/** What a pane's header names: the parameters in which the panes differ, without those that most of them share. */
function differing(panes, n, info) {
  const all = panes.map(({ params }) => params);
  const varying = info.params.filter(({ name }) => all.some((params) => params[name] !== all[0][name]));
  const odd = varying.filter(({ name }) => all.filter((params) => params[name] === all[n][name]).length * 2 <= all.length);
  const words = (odd.length ? odd : varying).map(({ name, label }) => `${label} ${all[n][name] ?? "random"}`);
  return words.join(", ") || "as in Setup";
}

function add() {
  const { compare, session } = store.get();
  setPanes([...compare.panes, pane({}, session.params)]);
  openForm([...shown.values()].at(-1));
}

function remove(part) {
  setPanes(panesOf().filter(({ key }) => key !== part.key));
  parts.add.focus();
}

// --- settings of one pane --------------------------------------------------------------------------------------------

function openForm(part) {
  const rows = store.get().info.params.map((param) => row(part, param));
  const n = panesOf().findIndex(({ key }) => key === part.key);
  const close = h("button", { type: "button", onclick: () => parts.form.hidePopover() }, "Done");
  const note = h("p", { class: "compare-note", role: "status" }, "What is not changed here is as in Setup.");
  parts.form.setAttribute("aria-label", `Settings of pane ${lettered(n)}`);
  parts.form.replaceChildren(h("h2", {}, `Settings of pane ${lettered(n)}`), ...rows, note, close);
  parts.note = note;
  parts.form.showPopover();
  place(part.edit.getBoundingClientRect());
  parts.form.querySelector("input").focus();
}

function place(anchor) {
  const { width, height } = parts.form.getBoundingClientRect();
  const left = Math.max(8, Math.min(anchor.right - width, innerWidth - width - 8));
  const top = Math.max(8, Math.min(anchor.bottom + 4, innerHeight - height - 8));
  parts.form.style.setProperty("left", `${left}px`);
  parts.form.style.setProperty("top", `${top}px`);
}

function row(part, param) {
  const { name, label, min, max, step } = param;
  const value = () => panesOf().find(({ key }) => key === part.key).params[name];
  const field = h("input", { type: "number", id: `compare-${name}`, min, max, step: step ?? "any", placeholder: name === "seed" ? "random" : null });
  const reset = h("button", { type: "button", class: "quiet", "aria-label": `${label} as in Setup`, title: "As in Setup" }, "↺");
  const draw = () => {
    field.value = value() ?? "";
    reset.disabled = !(name in panesOf().find(({ key }) => key === part.key).own);
  };
  field.addEventListener("change", () => {
    change(part, param, field);
    draw();
  });
  reset.addEventListener("click", () => {
    own(part, name, undefined);
    draw();
    field.focus();
  });
  draw();
  return h("div", { class: "compare-row" }, h("label", { for: field.id }, label), field, reset);
}

/** Takes what was typed; out of range it becomes the nearest that is in, and says so. */
function change(part, param, field) {
  const { name, label, min, max, step } = param;
  if (field.value === "" && name !== "seed") return say(`${label} wants a number.`);
  const typed = Number.isInteger(step) ? Math.round(Number(field.value)) : Number(field.value);
  const legal = field.value === "" ? null : Math.min(max ?? Infinity, Math.max(min ?? -Infinity, typed));
  say(legal === null || legal === Number(field.value) ? "" : `${label} is ${max === null ? `${min} or more` : `from ${min} to ${max}`}; set to ${legal}.`);
  return own(part, name, legal);
}

const say = (text) => (parts.note.textContent = text);

/** A pane's own value of a parameter; undefined, or the value that Setup has, makes it follow Setup. */
function own(part, name, value) {
  const base = store.get().session.params;
  const changed = (old) => {
    const { [name]: _, ...rest } = old.own;
    return { ...old, own: value === undefined || value === base[name] ? rest : { ...rest, [name]: value } };
  };
  setPanes(panesOf().map((old) => (old.key === part.key ? changed(old) : old)));
}

// --- running ---------------------------------------------------------------------------------------------------------

/** Sends the draft to all panes at once. It stays in the box: the next run is often the same message. */
export async function send() {
  const state = store.get();
  const { session, compare } = state;
  const last = path(session).at(-1);
  const waits = last?.role === "user";
  const message = session.draft.trim() ? session.draft : waits ? last.content : "";
  if (running()) return;
  if (!message) return byId("message").focus();
  const leaf = waits ? last.parent : session.leaf;
  const asked = { message, leaf, before: leaf === null ? null : session.nodes[leaf].content, node: null };
  const taking = compare.panes.map(({ key, params }) => ({ part: shown.get(key), params }));
  for (const { part } of taking) part.facts.replaceChildren("Waiting for the first token…");
  const body = { ...talk(state, { message, upTo: leaf }), panes: taking.map(({ params }) => params), top: ALTERNATIVES };
  const result = await runRecords("compare", "/api/compare", body, (record) => receive(taking[record.pane], record, asked));
  for (const { part } of taking) settle(part, result, asked);
}

function receive(take, record, asked) {
  if (!take) return;
  const { part, params } = take;
  if (record.type === "start" || (record.type === "error" && part.reply?.asked !== asked)) begin(part, params, record, asked);
  if (record.type === "tok") push(part, record);
  if (record.type === "done") finish(part, record);
  if (record.type === "error") fail(part, record);
}

function begin(part, params, { seed, receipt }, asked) {
  part.view?.destroy();
  part.body.replaceChildren();
  part.follows = true;
  part.reply = { asked, params, seed, receipt, tokens: 0, agreed: 0, marked: null, finish: null, node: null };
  part.facts.replaceChildren("Streaming…");
  part.differs.hidden = true;
  parts.asked.replaceChildren(h("strong", {}, "Asked: "), asked.message);
  part.view = create(part.body, {
    heat: store.get().heat,
    label: `Reply ${lettered(panesOf().findIndex(({ key }) => key === part.key))}`,
    onPick: store.get().info?.continues === false ? null : (i, candidate) => !running() && branch(use(part), i, candidate),
    onFocus: (i) => store.dispatch({ type: "lens", tok: part.view.tokens[i] }),
  });
}

function push(part, record) {
  part.reply.tokens += 1;
  part.view.push(record);
}

function finish(part, { finish: why, usage, timings }) {
  Object.assign(part.reply, { finish: why, usage, timings });
  close(part);
}

function fail(part, { message }) {
  Object.assign(part.reply, { finish: "broken", error: message });
  part.body.append(h("p", { class: "compare-error", role: "alert" }, message));
  close(part);
}

/** The run is over: panes that got no end of their own were stopped or broken off; those not begun keep what they had. */
function settle(part, { outcome }, asked) {
  if (part.reply?.asked === asked && part.reply.finish === null) {
    part.reply.finish = outcome === "stopped" ? "stopped" : "broken";
    close(part);
  } else if (part.reply?.asked !== asked) {
    part.facts.replaceChildren(...(part.reply ? facts(nodeOf(part)) : []));
  }
  markAll();
}

function close(part) {
  const { tokens, error } = part.reply;
  part.view.finish();
  part.facts.replaceChildren(...(error && !tokens ? ["failed"] : facts(nodeOf(part))));
  scroll(part);
}

/** The facts below a reply: why it ended, tokens, tokens a second, seed. */
export function facts({ finish: why, params, tokens, usage, timings, seed }) {
  const n = usage?.output ?? tokens?.length ?? 0;
  const words = [why === "length" ? `cut at Max tokens (${params.max_tokens})` : FINISH[why] ?? why, `${n} token${n === 1 ? "" : "s"}`];
  if (timings?.decode > 0) words.push(`${Math.round(n / timings.decode)} tok/s`);
  if (Number.isInteger(seed)) words.push(`seed ${seed}`);
  return words.map((text) => h("span", {}, text));
}

function nodeOf({ reply, view }) {
  const { params, seed, receipt, finish: why, usage, timings, error } = reply;
  const node = { content: view.text, params, finish: why, tokens: view.tokens.map(({ id, t, lp }) => [id, t, lp]) };
  const known = Object.entries({ seed, receipt, usage, timings, error }).filter(([, value]) => value !== undefined);
  return { ...node, ...Object.fromEntries(known) };
}

// --- each frame ------------------------------------------------------------------------------------------------------

function follow() {
  for (const part of shown.values()) if (part.reply && part.reply.finish === null) scroll(part);
  if (parts.diff.checked) markAll();
}

function scroll(part) {
  if (part.follows) part.body.scrollTop = END;
}

/** Marks in each pane the first token that is not the one of pane A; takes the marks away where they are not wanted. */
function markAll() {
  const [first, ...others] = panesOf().map(({ key }) => shown.get(key));
  if (first?.view) mark(first, null);
  for (const part of others) if (part.view) mark(part, parts.diff.checked && first.view ? differs(part, first) : null);
}

function mark(part, at) {
  if (at === part.reply.marked) return;
  part.reply.marked = at;
  part.view.mark(at);
  part.differs.hidden = at === null;
  part.differs.textContent = `differs from A at token ${at + 1}`;
}

/** Scrolls the pane alone, not the page around it. */
function showMark({ body }) {
  const token = body.querySelector(".token-differs");
  body.scrollTop += token.getBoundingClientRect().top - body.getBoundingClientRect().top - body.clientHeight / 3;
}

const sameToken = (a, b) => (a.id === null || b.id === null ? a.t === b.t : a.id === b.id);

/** Place of the first difference, null while there is none; goes on from where the two agreed last. */
function differs({ view, reply }, first) {
  const [mine, theirs] = [view.tokens, first.view.tokens];
  if (reply.against !== first.reply) Object.assign(reply, { against: first.reply, agreed: 0 });
  while (reply.agreed < Math.min(mine.length, theirs.length) && sameToken(mine[reply.agreed], theirs[reply.agreed])) reply.agreed += 1;
  const open = reply.agreed >= theirs.length && first.reply.finish === null;
  return reply.agreed < mine.length && !open ? reply.agreed : null;
}

// --- into the chat ---------------------------------------------------------------------------------------------------

/** Copies a pane's settings into Setup and adds its message and reply to the chat, once; gives the reply's node. */
function use(part) {
  const { reply, view } = part;
  const node = nodeOf(part);
  keepOthers(node.params);
  const parent = question(reply.asked);
  const { nodes, draft } = store.get().session;
  const old = nodes[reply.node];
  if (old?.parent === parent && old.content === node.content) store.dispatch({ type: "choose", id: old.id });
  else {
    reply.node = nodes.length; // the number that it gets; the chat draws it at once, with the alternatives that it finds
    live.set(reply.node, [...view.tokens]);
    store.dispatch({ type: "answer", parent, node });
  }
  if (draft === reply.asked.message) store.dispatch({ type: "set", patch: { draft: "" } });
  store.dispatch({ type: "mode", mode: "chat" });
  return reply.node;
}

/** Setup takes these settings; every pane keeps the ones that it has. */
function keepOthers(params) {
  const names = Object.keys(params);
  const over = (old) => Object.fromEntries(names.filter((name) => !sameParams(old.params[name], params[name])).map((name) => [name, old.params[name]]));
  const panes = panesOf().map((old) => ({ ...old, own: over(old) }));
  store.dispatch({ type: "params", patch: params });
  setPanes(panes);
}

/** The message in the tree: that of an earlier Use of the same run, else a new one where it was asked. */
function question(asked) {
  const { nodes, leaf } = store.get().session;
  const old = nodes[asked.node];
  if (old?.role === "user" && old.parent === asked.leaf && old.content === asked.message) return asked.node;
  const there = asked.leaf === null || nodes[asked.leaf]?.content === asked.before;
  if (there && leaf !== asked.leaf) store.dispatch({ type: "restore", nodes, leaf: asked.leaf, live: new Map(live) });
  store.dispatch({ type: "ask", content: asked.message });
  asked.node = store.get().session.leaf;
  return asked.node;
}
