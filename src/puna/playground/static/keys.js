/** Every keyboard shortcut once: the table feeds the handler and the help. */

import { byId, dialogHead, h } from "./dom.js";
import { stop } from "./run.js";

/**
 * keys: as shown. match: [key, modifiers] where this file handles it, else another part of the page does.
 * field: whether it also works while a field has the focus; "empty": only where that field is empty.
 */
const TABLE = [
  { group: "Message", keys: "Enter", text: "Send" },
  { group: "Message", keys: "Shift+Enter", text: "New line" },
  { group: "Message", keys: "/", text: "Go to the message", match: ["/"], name: "composer" },
  { group: "Reply", keys: "Esc", text: "Close the popover, else stop", match: ["Escape"], field: true, name: "escape" },
  { group: "Reply", keys: "Ctrl+Enter", text: "Regenerate", match: ["Enter", "ctrl"], field: true, name: "regenerate" },
  { group: "Reply", keys: "Alt+←", text: "Previous version", match: ["ArrowLeft", "alt"], field: "empty", name: "previous" },
  { group: "Reply", keys: "Alt+→", text: "Next version", match: ["ArrowRight", "alt"], field: "empty", name: "next" },
  { group: "Page", keys: "Alt+1", text: "Chat", match: ["1", "alt"], field: true, name: "chat" },
  { group: "Page", keys: "Alt+2", text: "Compare", match: ["2", "alt"], field: true, name: "compare" },
  { group: "Page", keys: "Alt+3", text: "Raw", match: ["3", "alt"], field: true, name: "raw" },
  { group: "Page", keys: "Ctrl+K", text: "Sessions", match: ["k", "ctrl"], field: true, name: "sessions" },
  { group: "Page", keys: "Ctrl+Shift+E", text: "Export", match: ["e", "ctrl shift"], field: true, name: "export" },
  { group: "Page", keys: "Ctrl+Shift+P", text: "Show or hide probabilities", match: ["p", "ctrl shift"], field: true, name: "heat" },
  { group: "Page", keys: "?", text: "This help", match: ["?"], name: "help" },
  { group: "Tokens", keys: "← →", text: "Previous, next token" },
  { group: "Tokens", keys: "↑ ↓", text: "Line above, below" },
  { group: "Tokens", keys: "Home End", text: "First, last token" },
  { group: "Tokens", keys: "Enter", text: "Pin the alternatives" },
  { group: "Setup", keys: "Backspace", text: "Reset a changed parameter, on its name" },
  { group: "Setup", keys: "Enter", text: "Add a stop sequence" },
  { group: "Editing a message", keys: "Ctrl+Enter", text: "Save as another version" },
  { group: "Editing a message", keys: "Esc", text: "Cancel" },
];

/** Opens the help with all shortcuts. */
export function openHelp() {
  byId("keys-dialog").showModal();
}

function drawHelp(dialog) {
  const entry = ({ keys, text }) => h("div", { class: "keys-entry" }, h("dt", {}, h("kbd", {}, keys)), h("dd", {}, text));
  const section = (name) => h("section", {}, h("h3", {}, name), h("dl", {}, TABLE.filter(({ group }) => group === name).map(entry)));
  const groups = [...new Set(TABLE.map(({ group }) => group))];
  dialog.replaceChildren(dialogHead("Keyboard shortcuts", "keys-title", dialog), h("div", { class: "keys" }, groups.map(section)));
}

/** Listens, and draws the help; `actions`: name in the table -> function. */
export function init(actions) {
  const all = { ...actions, escape: stop, help: openHelp };
  drawHelp(byId("keys-dialog"));
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const entry = TABLE.find(({ match }) => match && matches(match, event));
    if (!entry || !allowed(entry, event.target)) return;
    if (entry.name === "escape" && document.querySelector(":popover-open")) return;
    event.preventDefault();
    all[entry.name]();
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
