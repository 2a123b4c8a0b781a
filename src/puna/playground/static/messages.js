/** The messages of the branch as elements: made once for each message, then kept in step. */

import { get, hasToken } from "./api.js";
import { copyButton, h } from "./dom.js";
import { running } from "./run.js";
import { live, path, store, versions } from "./store.js";
import { create } from "./tokens.js";

const FINISH = { stop: "finished", stopped: "stopped", broken: "broken off", unknown: "finished, the engine does not say why" };
const CUT = new Set(["length", "stopped", "broken"]);
const EMPTY = ["Nothing sent yet.", "The right column already shows the exact prompt your message will become."];

/** Draws into `root`; `actions`: regenerate, cont, branch, remove, saveEdit, start. */
export function createMessages(root, actions) {
  const items = new Map();
  const list = h("div", { class: "messages" });
  const empty = h("div", { class: "empty" });
  let streaming = null;
  root.append(empty, list);

  function render(state) {
    const nodes = path(state.session);
    drawEmpty(empty, state, nodes.length === 0, actions);
    const shown = nodes.map((node, position) => itemOf(node, position, state));
    const els = shown.map(({ el }) => el);
    if (els.length !== list.children.length || els.some((el, n) => list.children[n] !== el)) list.replaceChildren(...els);
    for (const [id, item] of items) if (!nodes.some((node) => node.id === id)) drop(id, item);
  }

  function itemOf(node, position, state) {
    const item = items.get(node.id) ?? made(node, state);
    update(item, node, position, state, streaming === node.id);
    return item;
  }

  function made(node, state) {
    const item = createItem(node, state, actions);
    items.set(node.id, item);
    return item;
  }

  function drop(id, item) {
    item.view?.destroy();
    items.delete(id);
  }

  return {
    render,
    clear: () => items.forEach((item, id) => drop(id, item)),
    begin: (id) => (streaming = id),
    push: (id, record) => items.get(id)?.view.push(record),
    finish(id) {
      streaming = null;
      items.get(id)?.view.finish();
    },
    show(id) {
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      root.scrollTo({ top: items.get(id).el.offsetTop - 12, behavior: still ? "auto" : "smooth" });
    },
    step(by) {
      const { session } = store.get();
      const node = path(session).findLast(({ id }) => versions(session, id).length > 1);
      if (node) choose(session, node.id, by);
    },
  };
}

function drawEmpty(el, { info, session }, shown, { start }) {
  el.hidden = !shown;
  if (!shown || el.dataset.drawn === String(Boolean(info))) return;
  el.dataset.drawn = String(Boolean(info));
  const starters = (info?.starters ?? []).map((starter) => h("button", { type: "button", onclick: () => start(starter) }, starter.label));
  el.replaceChildren(h("p", {}, h("span", { class: "empty-title" }, EMPTY[0]), " ", h("span", { class: "dim" }, EMPTY[1])), h("p", { class: "starters" }, starters));
}

function choose(session, id, by) {
  const all = versions(session, id);
  const next = all[all.indexOf(id) + by];
  if (next !== undefined) store.dispatch({ type: "choose", id: next });
}

function action(label, onclick, props = {}) {
  return h("button", { type: "button", class: "act", onclick, ...props }, label);
}

function createItem(node, state, actions) {
  const user = node.role === "user";
  const now = () => store.get().session;
  const item = { view: null, signature: "" };
  item.note = h("span", { class: "not-sent" });
  item.count = h("span", { class: "version-count" });
  item.previous = action("‹", () => choose(now(), node.id, -1), { "aria-label": "Previous version" });
  item.next = action("›", () => choose(now(), node.id, 1), { "aria-label": "Next version" });
  item.versions = h("span", { class: "versions" }, item.previous, item.count, item.next);
  item.copy = copyButton(action("Copy"), () => now().nodes[node.id].content);
  item.edit = action("Edit", () => edit(item, now().nodes[node.id], actions));
  item.again = action("Regenerate", () => actions.regenerate(node.id));
  item.more = action("Continue", () => actions.cont(node.id));
  item.remove = action("Delete", () => actions.remove(node.id));
  item.acts = h("span", { class: "acts" }, item.copy, item.edit, user ? [] : [item.again, item.more], item.remove, item.versions);
  item.head = h("div", { class: "message-head" }, h("strong", {}, user ? "User" : "Assistant"), item.note, item.acts);
  item.body = user ? h("div", { class: "message-text" }, node.content) : replyBody(item, node, state, actions);
  item.foot = h("div", { class: "message-foot" });
  item.el = h("div", { class: `message message-${node.role}`, role: "group" }, item.head, item.body, item.foot);
  return item;
}

/** Whether an answer can be gone on with: not where a server takes whole messages. */
const continues = ({ info }) => info?.continues !== false;

function replyBody(item, node, state, actions) {
  const root = h("div", { class: "message-reply" });
  const known = live.get(node.id) ?? (node.tokens ?? [[null, node.content, null]]).map(([id, t, lp], i) => ({ i, id, t, lp }));
  const tokenOf = (i) => item.view.tokens[i] ?? live.get(node.id)?.[i] ?? null;
  item.view = create(root, {
    heat: state.heat,
    prefix: node.begun ?? 0,
    onPick: continues(state) ? (i, candidate) => actions.branch(node.id, i, candidate) : null,
    onFocus: (i) => store.dispatch({ type: "lens", tok: tokenOf(i) }),
  });
  item.heat = state.heat;
  item.view.load(known);
  return root;
}

/** Brings an item up to date; does nothing where nothing that it shows has changed. */
function update(item, node, position, state, streaming) {
  if (item.view && item.heat !== state.heat) item.view.setHeat((item.heat = state.heat));
  const all = versions(state.session, node.id);
  const dropped = state.anatomy?.pruned?.some(({ message }) => message === position) ?? false;
  const waits = node.role === "user" && node.id === state.session.leaf;
  const busy = state.run !== null;
  const signature = [position, all.length, all.indexOf(node.id), dropped, waits, busy, streaming, node.finish, continues(state)].join();
  if (signature === item.signature) return;
  item.signature = signature;
  item.el.setAttribute("aria-label", `${node.role === "user" ? "User message" : "Reply"} ${position + 1}`);
  item.el.classList.toggle("dropped", dropped);
  item.el.classList.toggle("streaming", streaming);
  item.note.textContent = dropped ? " — not sent, outside the context window" : "";
  for (const button of [item.edit, item.again, item.more, item.remove]) button.disabled = busy;
  drawMore(item.more, busy, state);
  drawVersions(item, all, node.id, busy);
  item.foot.replaceChildren(...(node.role === "user" ? waiting(item, waits && !busy) : streaming ? [] : footer(item, node)));
}

function drawMore(button, busy, state) {
  button.disabled = busy || !continues(state);
  button.title = continues(state) ? "" : "The server behind this endpoint takes whole messages, so it cannot go on with a reply; regenerate it.";
}

function drawVersions(item, all, id, busy) {
  const at = all.indexOf(id);
  item.versions.hidden = all.length < 2;
  item.count.textContent = `${at + 1} / ${all.length}`;
  item.versions.title = `Message version ${at + 1} of ${all.length}`;
  item.previous.disabled = busy || at === 0;
  item.next.disabled = busy || at === all.length - 1;
}

function waiting(item, shown) {
  if (!shown) return [];
  item.again.textContent = "Answer";
  return ["not answered yet", item.again];
}

/** Why a reply ended and what it cost; Continue stands here where there is a reason to press it. */
function footer(item, node) {
  const costs = figures(node);
  if (node.seed !== undefined && node.seed !== null) costs.push(seedOf(node.seed));
  if (node.receipt) costs.push(receiptOf(node.receipt));
  if (CUT.has(node.finish)) {
    const why = node.finish === "length" ? `cut at Max tokens (${node.params?.max_tokens}) —` : `${finishWords(node)} · ${costs.shift()}`;
    return [h("span", { class: "cut" }, why), item.more, h("span", {}, dotted(costs))];
  }
  item.acts.insertBefore(item.more, item.remove);
  return [h("span", {}, dotted(node.finish ? [finishWords(node), ...costs] : costs))];
}

const dotted = (parts) => parts.flatMap((part, n) => (n ? [" · ", part] : [part]));

function finishWords({ finish, error }) {
  return finish === "broken" && error ? `broken off: ${error}` : FINISH[finish] ?? finish;
}

function figures({ tokens, begun = 0, usage, timings }) {
  const n = usage?.output ?? Math.max((tokens?.length ?? 0) - begun, 0);
  if (!tokens && !usage) return ["edited by hand"];
  const given = begun ? [`after ${begun} given`] : [];
  const amount = n === 1 ? "1 token" : `${n} tokens`;
  if (!timings) return [amount, ...given];
  const rate = timings.decode > 0 && n > 1 ? [`${Math.round(n / timings.decode)} tok/s`] : [];
  const first = timings.first >= 0 && timings.first !== null ? [`first token ${timings.first.toFixed(2)} s`] : [];
  return [amount, ...given, ...rate, ...first];
}

/** A link to a receipt. Where the server wants a token, which a link cannot bear, the page fetches it. */
function receiptOf(path) {
  const open = async (event) => {
    if (!hasToken()) return;
    event.preventDefault();
    const told = await get(path).catch(({ message }) => message);
    window.open(URL.createObjectURL(new Blob([JSON.stringify(told, null, 2)], { type: "application/json" })), "_blank", "noopener");
  };
  return h("a", { href: path, target: "_blank", rel: "noopener", onclick: open }, "receipt");
}

function seedOf(seed) {
  const reuse = () => store.dispatch({ type: "params", patch: { seed } });
  return h("span", {}, `seed ${seed} `, h("button", { type: "button", class: "link", onclick: reuse, "aria-label": "reuse seed" }, "reuse"));
}

/** Turns a message into a box; saving makes another version, the old one stays reachable. */
function edit(item, { id, role, content }, { saveEdit }) {
  if (running() || item.el.querySelector(".editor")) return;
  const box = h("textarea", { "aria-label": "Edited message", rows: "3" });
  const close = () => {
    editor.replaceWith(item.body);
    item.edit.focus();
  };
  const save = () => {
    close();
    saveEdit(id, box.value);
  };
  const keys = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const buttons = [h("button", { type: "button", class: "primary", onclick: save }, role === "user" ? "Save and send" : "Save"), h("button", { type: "button", onclick: close }, "Cancel")];
  const editor = h("div", { class: "editor", onkeydown: keys }, box, h("p", { class: "row" }, h("span", { class: "hint" }, "Saves as another version"), buttons));
  box.value = content;
  item.body.replaceWith(editor);
  box.focus();
}
