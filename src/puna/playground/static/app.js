/** Wires the page: header, composer, banner, side panels, the session's address and its saving. */

import { askAgain, askTokenWith, get, local, put, signedOut, usable } from "./api.js";
import { mount as mountAnatomy } from "./anatomy.js";
import * as budget from "./budget.js";
import * as chat from "./chat.js";
import * as compare from "./compare.js";
import * as context from "./context.js";
import { byId, copyButton, dialogHead, h, setValue } from "./dom.js";
import * as keys from "./keys.js";
import * as params from "./params.js";
import * as raw from "./raw.js";
import { banner, clearBanner, refreshInfo, running, say, stop, watch } from "./run.js";
import { defaults, emptySession, store } from "./store.js";
import * as tokens from "./tokens.js";

const TOAST = 8000; // milliseconds in which a deletion can be undone
const LATER = 3000; // milliseconds after the start at which what is rarely used is fetched too, lest the server is away when it is wanted
const SAVE = 1000; // milliseconds between a change and its saving
const MODES = { chat, compare, raw };
const SEND_LABEL = { chat: "Send", compare: "Run all", raw: "Send" };
const GROWING = new Set(["ask", "answer", "edit", "load", "fresh"]); // after these, undoing a deletion would lose something
const CONTENT = ["nodes", "raw", "system", "context", "examples", "title", "only", "policy", "params", "leaf", "draft", "mode"];

const dispatch = store.dispatch;
const draftKey = (id) => `puna.draft.${id}`;
const narrow = matchMedia("(max-width: 1000px)");
const dark = matchMedia("(prefers-color-scheme: dark)");

// --- what is fetched only when it is wanted ----------------------------------------------------------------------------

/** Loads once; where that fails, as it does while the server is away, the next one who wants it tries again. */
const once = (load) => {
  let made = null;
  const again = (error) => {
    made = null;
    throw error;
  };
  return () => (made ??= load().catch(again));
};

const sessions = once(async () => {
  const module = await import("./sessions.js");
  module.init({ dialog: byId("sessions-dialog"), store, forget, recall, settled });
  return module;
});

const exporting = once(async () => {
  const module = await import("./export.js");
  module.init({ dialog: byId("export-dialog"), store });
  return module;
});

const lens = once(async () => {
  const { mount } = await import("./lens.js");
  const view = mount(byId("lens"), { get: () => store.get().lens, params: store.get().session.params });
  store.subscribe((state, previous) => {
    if (state.lens !== previous.lens) view.show(state.lens);
    if (state.session.params !== previous.session.params) view.setParams(state.session.params);
  });
});

const unreachable = () => banner("error", "The server does not answer, and this part of the page is still with it. Try again in a moment.");
const openSessions = () => sessions().then((module) => module.open(), unreachable);
const openExport = () => exporting().then((module) => module.open(), unreachable);

// --- header ----------------------------------------------------------------------------------------------------------

function initHeader() {
  for (const button of document.querySelectorAll("[data-mode]")) button.addEventListener("click", () => setMode(button.dataset.mode));
  byId("sessions-open").addEventListener("click", openSessions);
  byId("export-open").addEventListener("click", openExport);
  byId("keys-open").addEventListener("click", keys.openHelp);
  byId("theme").addEventListener("click", toggleTheme);
  byId("heat").addEventListener("change", (event) => dispatch({ type: "heat", heat: event.target.checked }));
  copyButton(byId("copy-prompt"), () => store.get().anatomy?.prompt ?? "");
  dispatch({ type: "theme", theme: document.documentElement.dataset.theme ?? "auto" });
}

function setMode(mode) {
  if (running()) stop();
  dispatch({ type: "mode", mode });
}

/** To the other theme than the one that is seen; the system's own theme is followed again when it comes round. */
function toggleTheme() {
  const { theme } = store.get();
  const system = dark.matches ? "dark" : "light";
  const next = (theme === "auto" ? system : theme) === "dark" ? "light" : "dark";
  dispatch({ type: "theme", theme: next === system ? "auto" : next });
  local.set("puna.theme", store.get().theme);
}

function drawHeader({ info, mode, status, theme, heat }) {
  byId("model").textContent = info?.model ?? "";
  byId("format").textContent = info?.format ? `format ${info.format}` : "";
  byId("status").textContent = status || (info ? "Ready" : "Connecting…");
  byId("heat").checked = heat;
  for (const button of document.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function drawBanner(shown) {
  const el = byId("banner");
  el.hidden = !shown;
  el.className = shown?.kind ?? "";
  if (!shown) return el.replaceChildren();
  const { text, action, kind } = shown;
  const button = action ?? ownAction(kind);
  const same = el.firstChild?.textContent === text && el.querySelector("button")?.textContent === button?.label;
  if (!same) el.replaceChildren(h("span", {}, text), ...(button ? [h("button", { type: "button", onclick: button.run }, button.label)] : []));
}

function ownAction(kind) {
  if (kind === "error" && signedOut()) return { label: "Sign in", run: signIn };
  return kind === "error" || kind === "notice" ? { label: "Dismiss", run: () => clearBanner(kind) } : null;
}

/** After the dialog was dismissed it comes again only by this. */
async function signIn() {
  askAgain();
  clearBanner("error");
  if (await refreshInfo()) backAgain();
}

// --- composer --------------------------------------------------------------------------------------------------------

function initComposer() {
  const box = byId("message");
  box.addEventListener("input", () => dispatch({ type: "set", patch: { draft: box.value } }));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    event.preventDefault();
    if (!running()) submit();
  });
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    if (running()) stop();
    else submit();
  });
}

/** Sends, once the server has counted the newest change: the server judges, not what the page last showed. */
async function submit() {
  const anatomy = await budget.counted();
  if (anatomy?.over > 0) return say(byId("reason").textContent);
  if (running()) return undefined;
  return MODES[store.get().mode].send();
}

function drawComposer({ run, mode, session, anatomy }) {
  setValue(byId("message"), session.draft);
  const button = byId("send");
  button.textContent = run ? "Stop" : SEND_LABEL[mode];
  button.classList.toggle("stop", Boolean(run));
  button.disabled = !run && anatomy?.over > 0;
  byId("composer").classList.toggle("no-text", mode === "raw");
  for (const name of Object.keys(MODES)) byId(name).hidden = name !== mode;
}

// --- dialogs and the toast -------------------------------------------------------------------------------------------

function initDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("click", closeOnBackdrop);
  store.subscribe((state, previous, action) => {
    if (state.toast !== previous.toast) drawToast(state.toast);
    else if (state.toast?.undo && GROWING.has(action.type)) dispatch({ type: "toast", toast: null });
  });
}

/** A click beside a dialog closes it; inside, the target is one of its children. */
function closeOnBackdrop(event) {
  const { left, right, top, bottom } = event.currentTarget.getBoundingClientRect();
  const inside = event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
  if (event.target === event.currentTarget && !inside) event.currentTarget.close();
}

let asking = null;

/** Asks for the server's token; gives it, or null where the dialog was closed. One dialog however many ask. */
function askToken(refused) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("token-dialog");
    const field = h("input", { type: "password", id: "token", autocomplete: "off", "aria-describedby": "token-note" });
    const note = h("p", { class: "note", id: "token-note", role: "alert" }, refused ? "That token was refused." : "");
    const hint = h("p", { class: "hint" }, "The server wants a token. It is kept until this tab is closed.");
    const form = h("form", {}, h("label", { for: "token" }, "Access token"), field, note, hint, h("p", { class: "row end" }, h("button", { type: "submit", class: "primary" }, "Sign in")));
    let given = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const token = field.value.trim();
      if (!usable(token)) return (note.textContent = token ? "A token has letters, digits and signs of ASCII only, and no spaces." : "Type the token.");
      given = token;
      return dialog.close();
    });
    dialog.addEventListener("close", () => ((asking = null), resolve(given)), { once: true });
    dialog.replaceChildren(dialogHead("Sign in", "token-title", dialog), form);
    dialog.showModal();
    field.focus();
  });
  return asking;
}

let toastTimer = 0;

function drawToast(toast) {
  const el = byId("toast");
  clearTimeout(toastTimer);
  el.hidden = !toast;
  if (!toast) return el.replaceChildren();
  const close = () => dispatch({ type: "toast", toast: null });
  const undo = toast.undo && h("button", { type: "button", onclick: () => (close(), toast.undo()) }, "Undo");
  el.replaceChildren(h("span", {}, toast.text), ...(undo ? [undo] : []));
  const begin = () => (toastTimer = setTimeout(close, TOAST));
  el.onpointerenter = el.onfocusin = () => clearTimeout(toastTimer);
  el.onpointerleave = el.onfocusout = () => (clearTimeout(toastTimer), begin());
  begin();
}

// --- side panels -----------------------------------------------------------------------------------------------------

function initPanels() {
  const anatomy = mountAnatomy(byId("anatomy"), { onTurn: (message) => store.get().mode === "chat" && chat.showMessage(message) });
  store.subscribe((state, previous) => state.anatomy !== previous.anatomy && drawAnatomy(anatomy, state));
  byId("lens-fold").addEventListener("toggle", () => lens().catch(unreachable), { once: true });
  const fold = () => document.querySelectorAll(".fold").forEach((details) => (details.open = !narrow.matches));
  narrow.addEventListener("change", fold);
  fold();
}

function drawAnatomy(view, { anatomy, mode }) {
  if (anatomy) view.update(anatomy);
  const findings = (mode !== "raw" && anatomy?.findings) || [];
  byId("findings").hidden = findings.length === 0;
  byId("findings").replaceChildren(h("h3", {}, `Findings (${findings.length})`), h("ul", { "aria-label": "Prompt findings" }, findings.map((text) => h("li", {}, text))));
}

// --- the session: its address, its file, its draft -------------------------------------------------------------------

let saveTimer = 0;
let saving = Promise.resolve();
let unsaved = false; // since the server was away, or wanted a token
const channel = new BroadcastChannel("puna");

function initSaving() {
  store.subscribe((state, previous, action) => {
    if (action.type === "load" || action.type === "fresh") return moved(previous, state);
    if (CONTENT.every((name) => state.session[name] === previous.session[name]) || action.type === "info") return undefined;
    if (state.session.draft !== previous.session.draft) keepDraft(state.session);
    return saveSoon(state.session);
  });
  document.addEventListener("visibilitychange", () => document.hidden && leave());
  window.addEventListener("pagehide", leave);
  channel.addEventListener("message", ({ data }) => data.id === store.get().session.id && changedElsewhere(data));
}

function leave() {
  chat.checkpoint();
  flush(true);
}

function keepDraft({ id, draft }) {
  // Where it cannot be kept, no older one may be restored over what the server has a second later.
  if (!local.set(draftKey(id), draft || null)) local.set(draftKey(id), null);
}

/** What was typed and neither sent nor saved, as when the browser crashed. */
function restoreDraft({ id, draft }) {
  const kept = local.get(draftKey(id));
  if (kept && kept !== draft) dispatch({ type: "set", patch: { draft: kept } });
}

function saveSoon({ id }) {
  const hash = `#s=${id}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
  clearTimeout(saveTimer);
  saveTimer = setTimeout(flush, SAVE);
}

/** Saves now what waits to be saved. */
function flush(leaving = false) {
  if (!saveTimer) return;
  clearTimeout(saveTimer);
  saveTimer = 0;
  save(store.get().session, leaving === true);
}

const gone = new Set(); // sessions that were deleted, and must not come back by a save that was under way
const drops = new Map(); // session -> how often what was to be saved of it was given up
const dropsOf = (id) => drops.get(id) ?? 0;

function unschedule() {
  clearTimeout(saveTimer);
  saveTimer = 0;
}

/** Gives up what of a session waits to be saved. */
function drop(id) {
  drops.set(id, dropsOf(id) + 1);
  if (id === store.get().session.id) unschedule();
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Ends the run that is on; when this resolves, what had come of it is in the session. */
async function ended() {
  const end = performance.now() + SAVE;
  for (stop(); running() && performance.now() < end; ) await pause(10);
  await pause(0);
}

/** When this resolves, all that could be saved is saved. */
async function settled() {
  flush();
  await saving;
}

/** Before a session is deleted: nothing of it is under way, and nothing will be saved. */
async function forget(id) {
  gone.add(id);
  if (id === store.get().session.id) {
    if (running()) await ended();
    unschedule();
  }
  await saving;
}

/** What became of it: "deleted", as the other tabs hear; "back", after Undo; "kept", where it could not be deleted. */
function recall(id, what) {
  if (what !== "deleted") gone.delete(id);
  if (what === "deleted") local.set(draftKey(id), null);
  if (what !== "kept") channel.postMessage({ id, deleted: what === "deleted" });
  else if (id === store.get().session.id) saveSoon({ id });
}

/** One save after the other, so that each has the revision that the one before it made. */
function save(session, keepalive) {
  const before = dropsOf(session.id);
  const dropped = () => before !== dropsOf(session.id);
  saving = saving.then(async () => {
    if (gone.has(session.id) || dropped()) return;
    const now = store.get().session;
    const revision = now.id === session.id ? now.revision : session.revision;
    try {
      const saved = await put(`/api/sessions/${session.id}`, { ...session, revision }, keepalive);
      if (store.get().session.id === session.id && !dropped()) dispatch({ type: "set", patch: { revision: saved.revision } });
      if (saved.overwrote) banner("notice", "Another tab had changed this session too; what this tab shows has been saved over it.");
      channel.postMessage({ id: session.id });
    } catch (error) {
      unsaved ||= error.code === "offline" || error.status === 401;
      if (error.code !== "offline") banner("error", `This session is not saved: ${error.message}`);
    }
  });
}

function changedElsewhere({ id, deleted }) {
  if (deleted) drop(id);
  if (deleted) return banner("notice", "This session was deleted in another tab. What this tab shows is saved again when you change it.");
  return banner("notice", "This session has been changed in another tab.", { label: "Load it", run: () => open(id) });
}

/** To another session: the one that is left is saved first. To the same one, loaded again: what was there is given up. */
function moved(previous, { session }) {
  if (running()) stop();
  if (previous.session.id === session.id) drop(session.id);
  else if (saveTimer) save(previous.session, false);
  unschedule();
  gone.delete(session.id); // it may have been deleted here and saved again by another tab
  restoreDraft(session);
  history.replaceState(null, "", session.nodes.length || session.revision ? `#s=${session.id}` : location.pathname);
  clearBanner("notice");
}

function backAgain() {
  budget.schedule();
  openNamed();
  if (unsaved) saveSoon(store.get().session);
  unsaved = false;
}

const idInUrl = () => /^#s=([a-z0-9-]{1,64})$/.exec(location.hash)?.[1];

async function open(id) {
  const again = id === store.get().session.id;
  if (again && running()) await ended();
  if (again) drop(id);
  await saving; // or what is got could be older than what is saved a moment later
  try {
    dispatch({ type: "load", session: await get(`/api/sessions/${id}`) });
  } catch (error) {
    if (again && error.status === 404) return changedElsewhere({ id, deleted: true });
    if (again) saveSoon({ id });
    if (error.code === "offline") return undefined; // tried again when it is back; an empty one would be saved over it
    if (error.status !== 404) return banner("error", error.message);
    dispatch({ type: "load", session: { ...emptySession(defaults(store.get().info)), id } });
  }
  restoreDraft(store.get().session);
  return undefined;
}

/** Opens the session that the address names, unless it is open. */
async function openNamed() {
  const id = idInUrl();
  if (id && id !== store.get().session.id) await open(id);
}

// --- start -----------------------------------------------------------------------------------------------------------

function initKeys() {
  keys.init({
    composer: () => byId("message").focus(),
    regenerate: () => store.get().mode === "chat" && chat.regenerate(),
    previous: () => chat.stepVersion(-1),
    next: () => chat.stepVersion(1),
    chat: () => setMode("chat"),
    compare: () => setMode("compare"),
    raw: () => setMode("raw"),
    sessions: openSessions,
    export: openExport,
    heat: () => dispatch({ type: "heat" }),
  });
}

async function begin() {
  askTokenWith(askToken);
  initHeader();
  initDialogs();
  chat.init();
  context.init();
  params.init();
  compare.init({ root: byId("compare"), store, tokens });
  raw.init({ root: byId("raw"), store });
  budget.init();
  initPanels();
  initComposer();
  initKeys();
  store.subscribe((state, previous) => {
    drawHeader(state);
    drawComposer(state);
    if (state.banner !== previous.banner) drawBanner(state.banner);
  });
  drawHeader(store.get());
  drawComposer(store.get());
  watch(backAgain);
  if (!narrow.matches) byId("message").focus();
  await refreshInfo();
  await openNamed();
  initSaving();
  setTimeout(() => Promise.allSettled([sessions(), exporting()]), LATER);
  window.addEventListener("hashchange", openNamed);
}

begin();
