/** Wires the page: header, composer, banner, dialogs, side panels and keys. */

import { askAgain, askTokenWith, local, signedOut, usable } from "./api.js";
import { mount as mountAnatomy } from "./anatomy.js";
import * as budget from "./budget.js";
import * as chat from "./chat.js";
import * as compare from "./compare.js";
import * as context from "./context.js";
import { byId, copyButton, dialogHead, h, setValue } from "./dom.js";
import * as params from "./params.js";
import * as raw from "./raw.js";
import { banner, clearBanner, refreshInfo, running, say, stop, watch } from "./run.js";
import * as saving from "./saving.js";
import { store } from "./store.js";
import * as tokens from "./tokens.js";

const TOAST = 8000; // milliseconds in which a deletion can be undone
const LATER = 3000; // milliseconds after the start at which what is rarely used is fetched too, lest the server is away when it is wanted
const MODES = { chat, compare, raw };
const SEND_LABEL = { chat: "Send", compare: "Run all", raw: "Send" };
const GROWING = new Set(["ask", "answer", "edit", "load", "fresh"]); // after these, undoing a deletion would lose something

const dispatch = store.dispatch;
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
  module.init({ dialog: byId("sessions-dialog") });
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
  byId("keys-open").addEventListener("click", openHelp);
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
  byId("format").textContent = info?.format ? `format ${info.format}` : info?.ready ? "format: the server’s own" : "";
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
  if (await refreshInfo()) saving.backAgain();
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

// --- keys ------------------------------------------------------------------------------------------------------------

const focusMessage = () => byId("message").focus();
const openHelp = () => byId("keys-dialog").showModal();
const regenerate = () => store.get().mode === "chat" && chat.regenerate();

/**
 * Every shortcut once, for the handler and the help. keys: as shown. match: [key, modifiers] where it is handled here, else
 * another part of the page does.
 * field: whether it also works while a field has the focus; "empty": only where that field is empty.
 */
const KEYS = [
  { group: "Message", keys: "Enter", text: "Send" },
  { group: "Message", keys: "Shift+Enter", text: "New line" },
  { group: "Message", keys: "/", text: "Go to the message", match: ["/"], act: focusMessage },
  { group: "Reply", keys: "Esc", text: "Close the popover, else stop", match: ["Escape"], field: true, act: stop },
  { group: "Reply", keys: "Ctrl+Enter", text: "Regenerate", match: ["Enter", "ctrl"], field: true, act: regenerate },
  { group: "Reply", keys: "Alt+←", text: "Previous version", match: ["ArrowLeft", "alt"], field: "empty", act: () => chat.stepVersion(-1) },
  { group: "Reply", keys: "Alt+→", text: "Next version", match: ["ArrowRight", "alt"], field: "empty", act: () => chat.stepVersion(1) },
  { group: "Page", keys: "Alt+1", text: "Chat", match: ["1", "alt"], field: true, act: () => setMode("chat") },
  { group: "Page", keys: "Alt+2", text: "Compare", match: ["2", "alt"], field: true, act: () => setMode("compare") },
  { group: "Page", keys: "Alt+3", text: "Raw", match: ["3", "alt"], field: true, act: () => setMode("raw") },
  { group: "Page", keys: "Ctrl+K", text: "Sessions", match: ["k", "ctrl"], field: true, act: openSessions },
  { group: "Page", keys: "Ctrl+Shift+E", text: "Export", match: ["e", "ctrl shift"], field: true, act: openExport },
  { group: "Page", keys: "Ctrl+Shift+P", text: "Show or hide probabilities", match: ["p", "ctrl shift"], field: true, act: () => dispatch({ type: "heat" }) },
  { group: "Page", keys: "?", text: "This help", match: ["?"], act: openHelp },
  { group: "Tokens", keys: "← →", text: "Previous, next token" },
  { group: "Tokens", keys: "↑ ↓", text: "Line above, below" },
  { group: "Tokens", keys: "Home End", text: "First, last token" },
  { group: "Tokens", keys: "Enter", text: "Pin the alternatives" },
  { group: "Setup", keys: "Backspace", text: "Reset a changed parameter, on its name" },
  { group: "Setup", keys: "Enter", text: "Add a stop sequence" },
  { group: "Editing a message", keys: "Ctrl+Enter", text: "Save as another version" },
  { group: "Editing a message", keys: "Esc", text: "Cancel" },
];

function drawHelp(dialog) {
  const entry = ({ keys, text }) => h("div", { class: "keys-entry" }, h("dt", {}, h("kbd", {}, keys)), h("dd", {}, text));
  const section = (name) => h("section", {}, h("h3", {}, name), h("dl", {}, KEYS.filter(({ group }) => group === name).map(entry)));
  const groups = [...new Set(KEYS.map(({ group }) => group))];
  dialog.replaceChildren(dialogHead("Keyboard shortcuts", "keys-title", dialog), h("div", { class: "keys" }, groups.map(section)));
}

function initKeys() {
  drawHelp(byId("keys-dialog"));
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const entry = KEYS.find(({ match }) => match && matches(match, event));
    if (!entry || !allowed(entry, event.target)) return;
    if (entry.act === stop && document.querySelector(":popover-open")) return;
    event.preventDefault();
    entry.act();
  });
}

function matches([key, modifiers = ""], event) {
  const shift = modifiers.includes("shift") === event.shiftKey || key === "?" || key === "/"; // where these keys lie differs
  const same = event.key.toLowerCase() === key.toLowerCase() || (modifiers === "alt" && event.code === `Digit${key}`);
  return same && shift && modifiers.includes("ctrl") === (event.ctrlKey || event.metaKey) && modifiers.includes("alt") === event.altKey;
}

function allowed({ field = false }, target) {
  const inField = target.matches?.("textarea, select, input:not([type=checkbox], [type=range])");
  return !inField || field === true || (field === "empty" && target.value === "");
}

// --- start -----------------------------------------------------------------------------------------------------------

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
  watch(saving.backAgain);
  if (!narrow.matches) focusMessage();
  await refreshInfo();
  await saving.begin();
  setTimeout(() => Promise.allSettled([sessions(), exporting()]), LATER);
}

begin();
