/** System message and in-context learning: a context, worked examples, and whether to answer only from the context. */

import { byId, h, setValue } from "./dom.js";
import { store } from "./store.js";

let box = null;
let only = null;
let list = null;
let count = null;

const set = (patch) => store.dispatch({ type: "set", patch });
const examples = () => store.get().session.examples;

/** Draws the panel and keeps it in step with the store. */
export function init() {
  byId("system").addEventListener("input", (event) => set({ system: event.target.value }));
  build(byId("context-panel"));
  store.subscribe((state, previous) => {
    if (state.session !== previous.session || state.mode !== previous.mode) draw(state);
    if (state.anatomy !== previous.anatomy || state.session !== previous.session) drawCounts(state);
  });
  draw(store.get());
}

function build(root) {
  count = h("span", { class: "count" });
  box = h("textarea", { id: "context", rows: "4", spellcheck: "false", oninput: () => set({ context: box.value }) });
  only = h("input", { type: "checkbox", onchange: () => set({ only: only.checked }) });
  list = h("ol", { class: "examples", "aria-label": "Examples" });
  root.append(
    h("div", { class: "field" }, h("span", { class: "row" }, h("label", { for: "context" }, "Context"), count), box),
    h("label", { class: "check" }, only, " Answer only from the context"),
    h("p", { class: "label" }, "Examples"),
    list,
    h("p", { class: "row start" }, h("button", { type: "button", class: "quiet", id: "example-add", onclick: add }, "Add example"), h("button", { type: "button", class: "quiet", onclick: loadExample }, "Load the notebook’s example")),
  );
}

function draw({ session, mode }) {
  setValue(byId("system"), session.system);
  setValue(box, session.context);
  only.checked = session.only;
  if (session.context || session.examples.length) byId("context-fold").open ||= !byId("context-fold").dataset.seen;
  if (session.context || session.examples.length) byId("context-fold").dataset.seen = "yes";
  drawExamples(session.examples);
  byId("raw-note").hidden = mode !== "raw";
  byId("chat-setup").classList.toggle("unused", mode === "raw");
  byId("policy-field").hidden = mode === "raw";
}

function drawCounts({ anatomy, session, mode }) {
  const { system, context } = (mode !== "raw" && anatomy?.parts) || {};
  byId("system-tokens").textContent = session.system && system ? `${system} t` : "";
  count.textContent = context ? `${context} t` : "";
}

function drawExamples(rows) {
  while (list.children.length > rows.length) list.lastChild.remove();
  while (list.children.length < rows.length) list.append(exampleRow(list.children.length));
  rows.forEach(({ question, answer }, n) => {
    const [first, second] = list.children[n].querySelectorAll("textarea");
    setValue(first, question);
    setValue(second, answer);
    list.children[n].querySelector(".hint").hidden = Boolean(question.trim()) === Boolean(answer.trim());
    list.children[n].querySelector("[data-move='1']").disabled = n === rows.length - 1;
  });
}

function exampleRow(n) {
  const field = (label, name) => {
    const area = h("textarea", { id: `${name}-${n}`, rows: "1", oninput: () => change(n, { [name]: area.value }) });
    return [h("label", { for: `${name}-${n}` }, `${label} ${n + 1}`), area];
  };
  const button = (text, label, onclick, props = {}) => h("button", { type: "button", class: "quiet", "aria-label": `${label} example ${n + 1}`, onclick, ...props }, text);
  return h("li", {}, field("Question", "question"), field("Answer", "answer"),
    h("p", { class: "hint" }, "Not used until it has both a question and an answer."),
    h("p", { class: "row start" },
      button("↑", "Move up", () => move(n, -1), { disabled: n === 0 }),
      button("↓", "Move down", () => move(n, 1), { "data-move": "1" }),
      button("Remove", "Remove", () => remove(n))));
}

const change = (n, patch) => set({ examples: examples().map((row, at) => (at === n ? { ...row, ...patch } : row)) });

function add() {
  set({ examples: [...examples(), { question: "", answer: "" }] });
  list.lastChild.querySelector("textarea").focus();
}

function remove(n) {
  set({ examples: examples().filter((_, at) => at !== n) });
  (list.children[Math.min(n, list.children.length - 1)]?.querySelector("textarea") ?? byId("example-add")).focus();
}

function move(n, by) {
  const rows = [...examples()];
  [rows[n], rows[n + by]] = [rows[n + by], rows[n]];
  set({ examples: rows });
  list.children[n + by].querySelector("textarea").focus();
}

function loadExample() {
  const { example } = store.get().info ?? {};
  if (!example) return;
  const { question, ...setup } = example;
  set({ ...setup, draft: store.get().session.draft || question });
  box.focus();
}
