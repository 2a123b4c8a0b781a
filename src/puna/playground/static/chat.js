/** The conversation: sending, stopping, and every way to get another version of a reply. */

import { byId } from "./dom.js";
import { createMessages } from "./messages.js";
import { running, runRecords, say, stop as stopRun } from "./run.js";
import { live, path, store, talk } from "./store.js";
import { afterFrame } from "./tokens.js";

const ALTERNATIVES = 10; // candidates asked for at each position
const CHECKPOINT = 2000; // milliseconds between two states of a growing reply that a reload would find
const NEAR_END = 40; // pixels from the end at which the conversation still counts as read to its end
const RENUMBERING = new Set(["remove", "restore", "load", "fresh"]);

let messages = null;
let following = true;
let growing = null; // the reply that streams now

const focusComposer = () => byId("message").focus();
const lastNode = () => path(store.get().session).at(-1);

/** Draws the conversation into #chat and keeps it in step with the store. */
export function init() {
  const root = byId("chat");
  messages = createMessages(root, { regenerate, cont, branch, remove, saveEdit, start });
  root.addEventListener("scroll", () => (following = root.scrollHeight - root.scrollTop - root.clientHeight < NEAR_END), { passive: true });
  afterFrame(keepEnd);
  store.subscribe((state, previous, action) => {
    if (RENUMBERING.has(action.type)) messages.clear();
    if (action.type === "load") following = true;
    messages.render(state);
    if (state.session.leaf !== previous.session.leaf || action.type === "node" || action.type === "run") keepEnd();
  });
  messages.render(store.get());
}

function keepEnd() {
  const root = byId("chat");
  if (following) root.scrollTop = root.scrollHeight;
}

/** Scrolls to a message by its index in the branch; the one after the last is in the composer. */
export function showMessage(index) {
  const node = path(store.get().session)[index];
  if (node) messages.show(node.id);
  else focusComposer();
}

/** Sends the draft, or, where there is none, asks again for an answer that the last message still waits for. */
export async function send() {
  const { draft } = store.get().session;
  const last = lastNode();
  const waits = last?.role === "user";
  if (running()) return;
  if (!draft.trim()) return waits ? generate(last.id) : focusComposer();
  store.dispatch(waits ? { type: "edit", id: last.id, content: draft } : { type: "ask", content: draft });
  store.dispatch({ type: "set", patch: { draft: "" } });
  const asked = store.get().session.leaf;
  following = true;
  keepEnd();
  byId("composer").scrollIntoView({ block: "end" }); // on a narrow page the conversation ends there
  await generate(asked, { unsent: () => takeBack(asked, draft) });
}

/** A message that got no answer goes back into the box. */
function takeBack(id, text) {
  store.dispatch({ type: "remove", id });
  const { draft, nodes, title } = store.get().session;
  const patch = { draft: draft.trim() ? `${text}\n${draft}` : text, title: nodes.length ? title : "" };
  store.dispatch({ type: "set", patch });
}

/** Ends the run; what has arrived is kept. */
export const stop = stopRun;

/** Another version of a reply (the last one unless told), or the answer that a message still waits for. */
export async function regenerate(id = lastNode()?.id) {
  if (id === undefined || running()) return;
  const { nodes } = store.get().session;
  following = id === lastNode().id;
  await generate(nodes[id].role === "user" ? id : nodes[id].parent);
}

/** Goes on after the end of a reply, as another version that begins with the same tokens. */
export async function cont(id) {
  await generateFrom(id, recordsOf(id));
}

/** Another version that begins with the first `i` tokens of a reply and then `candidate`, [id, text, lp]. */
export async function branch(id, i, [token, t, lp]) {
  await generateFrom(id, [...recordsOf(id).slice(0, i), { id: token, t, lp }]);
}

async function generateFrom(id, given) {
  if (running()) return;
  await generate(store.get().session.nodes[id].parent, { given });
}

/** The tokens of a reply as records; one that was typed by hand is one piece without an id. */
function recordsOf(id) {
  const { tokens, content } = store.get().session.nodes[id];
  return live.get(id) ?? (tokens ?? [[null, content, null]]).map(([token, t, lp]) => ({ id: token, t, lp }));
}

const textOf = (records) => records.map(({ t }) => t).join("");

/** How an answer that was begun is said to the server: by its tokens, or by its text where an id is not known. */
function withBegun(body, given) {
  if (!given.length) return body;
  if (given.every(({ id }) => id !== null)) return { ...body, begun: given.map(({ id, t, bytes }) => (bytes ? [id, t, bytes] : [id, t])) };
  return { ...body, messages: [...body.messages, { role: "assistant", content: textOf(given) }] };
}

/** Gets an answer to the message `parent`; `unsent` is called where it failed before the first token. */
async function generate(parent, { given = [], unsent = () => {} } = {}) {
  if (store.get().toast?.undo) store.dispatch({ type: "toast", toast: null }); // it would renumber the nodes under the run
  const { leaf, params } = store.get().session;
  const body = { ...withBegun(talk(store.get(), { upTo: parent }), given), top: ALTERNATIVES };
  const reply = { id: null, records: given.map((record, i) => ({ ...record, i })), saved: performance.now(), patch: {} };
  const session = store.get().session.id;
  const here = () => store.get().session.id === session;
  const result = await runRecords("chat", "/api/generate", body, (record) => here() && receive(reply, record, parent, params, given.length));
  growing = null;
  if (here()) settle(reply, result, leaf, unsent);
}

function receive(reply, record, parent, params, begun) {
  if (record.type === "start") begin(reply, record, parent, params, begun);
  if (record.type === "tok") grow(reply, record);
  if (record.type === "done") {
    const { finish, usage, timings } = record;
    reply.patch = { finish, usage, timings };
  }
}

function begin(reply, { seed, receipt }, parent, params, begun) {
  reply.id = store.get().session.nodes.length; // known before it is drawn
  growing = reply;
  live.set(reply.id, reply.records);
  messages.begin(reply.id);
  store.dispatch({ type: "answer", parent, node: { params, seed, receipt, ...(begun ? { begun } : {}) } });
}

function grow(reply, { id, t, lp, top, bytes }) {
  const record = { i: reply.records.length, id, t, lp, top, ...(bytes ? { bytes } : {}) };
  reply.records.push(record);
  messages.push(reply.id, record);
  if (performance.now() - reply.saved < CHECKPOINT) return;
  reply.saved = performance.now();
  patch(reply);
}

/** Puts what has come of a growing reply into the session, so that leaving the page does not lose it. */
export function checkpoint() {
  if (growing) patch(growing);
}

function patch(reply, more = {}) {
  const tokens = reply.records.map(({ id, t, lp }) => [id, t, lp]);
  store.dispatch({ type: "node", id: reply.id, patch: { content: textOf(reply.records), tokens, ...more } });
}

/** The end of a run, however it ended: a reply keeps what it has; one without a token leaves no trace. */
function settle(reply, { outcome, error, tokens }, leaf, unsent) {
  if (outcome !== "done" && !tokens) {
    if (reply.id !== null) {
      messages.finish(reply.id);
      store.dispatch({ type: "remove", id: reply.id });
      store.dispatch({ type: "choose", id: leaf });
    }
    return outcome === "failed" ? unsent() : undefined;
  }
  messages.finish(reply.id);
  const ends = { done: {}, stopped: { finish: "stopped" }, failed: { finish: "broken", error: error?.message } };
  patch(reply, { ...reply.patch, ...ends[outcome] });
}

/** Saves an edited message as another version; a user's one is answered at once. */
async function saveEdit(id, content) {
  const { role, content: before } = store.get().session.nodes[id];
  if (content === before || running()) return;
  store.dispatch({ type: "edit", id, content });
  if (role === "user") await generate(store.get().session.leaf);
}

/** Deletes a message and all that follows it; for a while the toast can undo it. */
function remove(id) {
  if (running()) return;
  const { nodes, leaf } = store.get().session;
  const before = new Map(live);
  store.dispatch({ type: "remove", id });
  const gone = nodes.length - store.get().session.nodes.length;
  const undo = () => store.dispatch({ type: "restore", nodes, leaf, live: before });
  const text = gone === 1 ? "Message deleted" : `${gone} messages deleted`;
  store.dispatch({ type: "toast", toast: { text, undo } });
  say(text);
  focusComposer();
}

/** Puts a starter into the setup and the box, so that its prompt can be seen before it is sent. */
function start({ message, label: _, ...setup }) {
  store.dispatch({ type: "set", patch: { ...setup, draft: message } });
  focusComposer();
}

/** The previous (-1) or next (1) version of the last message that has versions. */
export function stepVersion(step) {
  if (!running()) messages.step(step);
}
