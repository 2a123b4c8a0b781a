/** Elements without markup strings: every text that comes in becomes a text node. */

/** An element; props named on* are listeners, true and false set or leave out, the rest are attributes. */
export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) setProp(el, name, value);
  el.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return el;
}

function setProp(el, name, value) {
  if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
  else if (typeof value === "boolean") el.toggleAttribute(name, value);
  else if (value !== null && value !== undefined) el.setAttribute(name, value);
}

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** Sets a field's text only where it differs, so that the caret stays where it is. */
export function setValue(field, text) {
  if (field.value !== text) field.value = text;
}

/** Puts a text on the clipboard, also where the page has no secure context and so no clipboard API. */
export async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const box = h("textarea", { class: "hidden" });
  document.body.append(box);
  box.value = text;
  box.select();
  document.execCommand("copy");
  box.remove();
}

/** Copies on click and says so on the button itself for a moment. */
export function copyButton(button, text) {
  button.addEventListener("click", async () => {
    const before = button.textContent;
    await copyText(text());
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = before), 1200);
  });
  return button;
}

/** The first line of a dialog: its title, which names it by `id`, and Close. */
export function dialogHead(title, id, dialog) {
  const close = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close");
  return h("div", { class: "row" }, h("h2", { id }, title), close);
}
