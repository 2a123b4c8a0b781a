/** The dialog of saved sessions: find, open, rename, duplicate, delete with Undo, and files in and out. */

import { del, get, put } from "./api.js";
import { h } from "./dom.js";
import { save } from "./export.js";
import { forget, recall, settled } from "./saving.js";
import { newId, store } from "./store.js";

const SEARCH_MS = 150;

let dialog = null;
let asked = 0;
let timer = 0;
const parts = {};

/** Builds the dialog. */
export function init(options) {
  ({ dialog } = options);
  parts.search = h("input", { type: "search", id: "sessions-search", autocomplete: "off", oninput: searchSoon });
  parts.file = h("input", { type: "file", accept: ".json,application/json", multiple: true, hidden: true, "aria-label": "Session files", onchange: importFiles });
  parts.list = h("div", { class: "sessions-list" });
  parts.note = h("p", { class: "dialog-note", role: "status" });
  const close = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close");
  const bar = h("div", { class: "sessions-bar" },
    h("label", { for: "sessions-search" }, "Search"), parts.search,
    button("New session", startFresh), button("Import", () => parts.file.click()), parts.file);
  dialog.replaceChildren(h("div", { class: "row" }, h("h2", {}, "Sessions"), close), bar, parts.note, parts.list);
}

/** Opens the dialog with the sessions as they are saved now. */
export function open() {
  if (!dialog.open) dialog.showModal();
  parts.search.value = "";
  say("");
  refresh();
}

const button = (label, act, props = {}) => h("button", { type: "button", ...props, onclick: act }, label);
const titleOf = ({ title }) => title.trim() || "Untitled";
const where = (id) => `/api/sessions/${id}`;

function say(text, undo) {
  parts.note.replaceChildren(text, ...(undo ? [button("Undo", undo, { class: "quiet" })] : []));
}

/** Does a thing that asks the server; what goes wrong is said in the server's words, and gives false. */
async function attempt(act) {
  try {
    return await act();
  } catch (error) {
    say(error.message);
    return false;
  }
}

function searchSoon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, SEARCH_MS);
}

async function refresh() {
  const mine = (asked += 1);
  const query = parts.search.value.trim();
  const answer = await attempt(() => get(`/api/sessions${query ? `?q=${encodeURIComponent(query)}` : ""}`));
  if (answer !== false && mine === asked) draw(answer.sessions, query);
}

function draw(sessions, query) {
  const none = query ? `No session has “${query}” in it.` : "No session is saved yet. A session is saved by itself as soon as something is said in it.";
  const rows = sessions.map((entry) => h("li", { class: "sessions-row", "data-id": entry.id }, ...row(entry)));
  parts.list.replaceChildren(rows.length ? h("ul", { role: "list", "aria-label": "Saved sessions" }, rows) : h("p", { class: "dialog-note" }, none));
}

function row(entry) {
  const title = titleOf(entry);
  const here = entry.id === store.get().session.id;
  const act = (label, fn) => button(label, fn, { class: "quiet", "aria-label": `${label} ${title}` });
  return [
    h("button", { type: "button", class: "sessions-open", "aria-current": here ? "true" : null, onclick: () => openSession(entry.id) },
      h("span", { class: "sessions-title" }, title), h("span", { class: "sessions-when" }, facts(entry, here))),
    h("span", { class: "sessions-acts" },
      act("Rename", (event) => rename(entry, event.target.closest("li"))), act("Duplicate", () => duplicate(entry)),
      act("Export", () => exportFile(entry)), act("Delete", () => remove(entry))),
  ];
}

function facts({ turns, changed }, here) {
  const when = new Date(changed).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return `${turns} turn${turns === 1 ? "" : "s"} · ${when}${here ? " · open" : ""}`;
}

async function openSession(id) {
  await settled();
  const session = await attempt(() => get(where(id)));
  if (session === false) return;
  store.dispatch({ type: "load", session });
  dialog.close();
}

function startFresh() {
  store.dispatch({ type: "fresh" });
  dialog.close();
}

function rename(entry, item) {
  const field = h("input", { type: "text", "aria-label": `New title of ${titleOf(entry)}`, maxlength: "200" });
  const back = () => {
    item.replaceChildren(...row(entry));
    item.querySelector(".sessions-acts button").focus();
  };
  const form = h("form", { class: "sessions-rename" }, field, h("button", { type: "submit" }, "Save"), button("Cancel", back));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    retitle(entry, field.value.trim());
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    back();
  });
  field.value = entry.title;
  item.replaceChildren(form);
  field.select();
}

/** The open session is renamed in the page, which saves it soon; any other on the server. */
async function retitle(entry, title) {
  if (entry.id === store.get().session.id) store.dispatch({ type: "set", patch: { title } });
  else await attempt(async () => put(where(entry.id), { ...(await get(where(entry.id))), title }));
  await refresh();
  const item = dialog.querySelector(`[data-id="${CSS.escape(entry.id)}"]`);
  item?.replaceChildren(...row({ ...entry, title }));
  item?.querySelector(".sessions-acts button").focus();
}

async function duplicate(entry) {
  const id = newId();
  const title = `${titleOf(entry)} (copy)`;
  const done = await attempt(async () => put(where(id), { ...(await get(where(entry.id))), id, title, revision: 0 }));
  if (done === false) return;
  say(`Duplicated as “${title}”.`);
  await refresh();
}

async function exportFile(entry) {
  const session = await attempt(() => get(where(entry.id)));
  if (session === false) return;
  const name = titleOf(entry).replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60);
  save({ filename: `${name || "session"}.json`, media_type: "application/json", text: `${JSON.stringify(session, null, 2)}\n` });
}

async function remove(entry) {
  const open = entry.id === store.get().session.id;
  await forget(entry.id);
  const session = open ? store.get().session : await attempt(() => get(where(entry.id)));
  if (session === false) return recall(entry.id, "kept");
  if (open) store.dispatch({ type: "fresh" }); // before the deletion, so that nothing more of it is saved
  await forget(entry.id);
  const done = await attempt(() => del(where(entry.id)).catch(unlessGone));
  if (done === false && open) store.dispatch({ type: "load", session });
  recall(entry.id, done === false ? "kept" : "deleted");
  if (done === false) return undefined;
  await refresh();
  say(`Deleted “${titleOf(entry)}”.`, () => undelete(session, open));
  return parts.note.querySelector("button").focus();
}

function unlessGone(error) {
  if (error.status !== 404) throw error; // it was deleted in another tab, which is as well
}

async function undelete(session, open) {
  const back = await attempt(() => put(where(session.id), { ...session, revision: 0 }));
  if (back === false) return;
  recall(session.id, "back");
  if (open) store.dispatch({ type: "load", session: { ...session, revision: back.revision } });
  say(`“${titleOf(session)}” is back.`);
  await refresh();
  parts.search.focus();
}

async function importFiles() {
  const files = [...parts.file.files];
  parts.file.value = "";
  const told = [];
  for (const file of files) told.push(await importFile(file).catch((error) => `${file.name}: ${error.message}`));
  await refresh();
  say(told.join(" "));
}

/** Saves a file as a session, under its own id where that is free; gives the sentence that says so. */
async function importFile(file) {
  const most = store.get().info?.limits?.session_bytes ?? Infinity;
  if (file.size > most) return `${file.name} is larger than ${Math.floor(most / 2 ** 20)} MiB, the most that a session may take.`;
  const session = parsed(await file.text());
  if (session === null) return `${file.name} is not a session: a JSON object was expected.`;
  const { sessions } = await get("/api/sessions");
  const free = typeof session.id === "string" && /^[a-z0-9-]{1,64}$/.test(session.id) && !sessions.some(({ id }) => id === session.id);
  const id = free ? session.id : newId();
  await put(where(id), { ...session, id, revision: 0 });
  return `Imported “${titleOf({ title: String(session.title ?? "") })}”.`;
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
