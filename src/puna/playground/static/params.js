/** Sampling: a range and a number kept equal for each parameter of /api/info, presets, and stop sequences as chips. */

import { local } from "./api.js";
import { byId, h } from "./dom.js";
import { say } from "./run.js";
import { defaults, store } from "./store.js";

const SAVED = "puna.presets";
const SLIDER = 4096; // the end of a slider whose parameter has none; its number may go on

let chosen = ""; // name of the preset that the dots are measured against
const rows = new Map();

const params = () => store.get().session.params;
const set = (patch) => store.dispatch({ type: "params", patch });
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** Draws the sampling section and keeps it in step with the store. */
export function init() {
  byId("neutral").addEventListener("click", neutral);
  byId("preset").addEventListener("change", (event) => choosePreset(event.target.value));
  byId("preset-save").addEventListener("click", askName);
  byId("policy").addEventListener("change", (event) => store.dispatch({ type: "set", patch: { policy: event.target.value } }));
  store.subscribe((state, previous, { type }) => {
    if (state.info !== previous.info) build(state.info);
    else if (state.info && (type === "load" || type === "fresh")) rechoose();
    if (state.info && (state.session !== previous.session || state.info !== previous.info)) draw(state.session);
  });
}

function build(info) {
  rows.clear();
  const help = h("p", { class: "hint", id: "param-help" }, "Double-click or Backspace on a name resets it.");
  byId("params").replaceChildren(...info.params.map((param) => row(param, help)), stopField(), help);
  byId("policy").replaceChildren(...info.policies.map(({ name, label }) => h("option", { value: name }, label)));
  fillPresets();
}

function draw({ params: current, policy }) {
  const base = baseline();
  for (const [name, { draw: drawRow }] of rows) drawRow(current[name], !same(current[name], base[name]), base[name]);
  drawChips(current.stop ?? []);
  byId("policy").value = policy;
  byId("policy-help").textContent = store.get().info.policies.find(({ name }) => name === policy)?.help ?? "";
}

// --- one parameter ---------------------------------------------------------------------------------------------------

const whole = ({ step }) => Number.isInteger(step);
const shown = (value) => (value === null || value === undefined ? "" : String(value));

function row(param, help) {
  const { name, label, min, max, step } = param;
  const id = `param-${name}`;
  const dot = h("span", { class: "dot", "aria-hidden": "true" }, " •");
  const title = h("label", { for: id, title: param.help }, label, dot);
  const number = h("input", { type: "number", id, min, max, step: step ?? "any", placeholder: name === "seed" ? "random" : null, "aria-description": param.help });
  const range = name === "seed" ? null : h("input", { type: "range", min, max: max ?? SLIDER, step: step ?? "any", "aria-label": label });
  const note = h("p", { class: "note", role: "status" });
  const el = h("div", { class: "param" }, title, number, range, note);
  wire({ param, title, number, range, note });
  el.addEventListener("pointerenter", () => (help.textContent = `${label}: ${param.help}`));
  el.addEventListener("focusin", () => (help.textContent = `${label}: ${param.help}`));
  rows.set(name, { draw: (value, changed, base) => drawParam({ param, title, dot, number, range }, value, changed, base) });
  return el;
}

function drawParam({ param, title, dot, number, range }, value, changed, base) {
  if (document.activeElement !== number || Number(number.value) !== value) number.value = shown(value);
  if (range) range.value = shown(value);
  dot.hidden = !changed;
  title.tabIndex = changed ? 0 : -1;
  title.title = changed ? `${param.help} Double-click or Backspace resets it to ${shown(base) || "random"}.` : param.help;
}

function wire({ param, title, number, range, note }) {
  const reset = () => set({ [param.name]: baseline()[param.name] });
  title.addEventListener("dblclick", reset);
  title.addEventListener("keydown", (event) => {
    if (event.key !== "Backspace") return;
    event.preventDefault(); // or it would go on in the field that gets the focus
    reset();
    number.focus();
  });
  range?.addEventListener("input", () => {
    note.textContent = "";
    set({ [param.name]: Number(range.value) });
  });
  number.addEventListener("input", () => {
    note.textContent = "";
    const value = read(number, param);
    if (value !== undefined && fits(value, param)) set({ [param.name]: value });
  });
  number.addEventListener("change", () => commit(number, param, note));
}

/** What a number field says: a number, null for an empty seed, undefined while it is no number. */
function read(number, { name }) {
  if (number.value === "") return name === "seed" && !number.validity.badInput ? null : undefined;
  return Number(number.value);
}

const fits = (value, param) => value === null || (value === clamped(value, param));

function clamped(value, param) {
  const rounded = whole(param) ? Math.round(value) : value;
  const { least_temperature: least = 0 } = store.get().info?.limits ?? {};
  if (param.name === "temperature" && rounded > 0 && rounded < least) return least; // 0 is greedy, and nothing lies between
  return Math.min(param.max ?? Infinity, Math.max(param.min ?? -Infinity, rounded));
}

/** The end of typing: what is out of range is clamped, and says so; what is no number goes back. */
function commit(number, param, note) {
  const value = read(number, param);
  if (value === undefined) {
    number.value = shown(params()[param.name]);
    note.textContent = `${param.label} wants a number.`;
  } else if (!fits(value, param)) {
    const legal = clamped(value, param);
    note.textContent = `${param.label} is ${rangeOf(param)}; set to ${legal}.`;
    number.value = shown(legal);
    set({ [param.name]: legal });
  }
}

function rangeOf({ name, min, max, step }) {
  const { least_temperature: least } = store.get().info?.limits ?? {};
  if (name === "temperature" && least > min) return `${min}, or from ${least} to ${max}`;
  const range = max === null ? `of ${min} or more` : `from ${min} to ${max}`;
  return `${whole({ step }) ? "a whole number " : ""}${range}`;
}

function neutral() {
  const patch = {};
  for (const { name, neutral: value } of store.get().info?.params ?? []) if (value !== null && value !== undefined) patch[name] = value;
  set(patch);
  say("Sampling is neutral");
}

// --- presets ---------------------------------------------------------------------------------------------------------

/** The presets as the browser keeps them; what is none is left out, whoever wrote it there. */
function kept() {
  const list = local.json(SAVED);
  return Array.isArray(list) ? list.filter((preset) => typeof preset?.name === "string" && typeof preset.params === "object" && preset.params) : [];
}

/** The person's presets, as far as this server takes what they set. */
const saved = () => kept().map(({ name, params: wanted }) => ({ name, params: legal(wanted) }));

function legal(wanted) {
  const good = {};
  for (const param of store.get().info?.params ?? []) {
    const value = wanted[param.name];
    if (typeof value === "number") good[param.name] = clamped(value, param);
    else if (value === null && param.name === "seed") good.seed = null;
  }
  if (Array.isArray(wanted.stop)) good.stop = wanted.stop.reduce((list, text) => (typeof text === "string" && text && !refusedStop(list, text) ? [...list, text] : list), []);
  return good;
}

const keep = (list) => local.set(SAVED, JSON.stringify(list));

function presets() {
  return [...(store.get().info?.presets ?? []), ...saved()];
}

/** What the dots are measured against and a reset goes back to: the chosen preset over the defaults. */
function baseline() {
  const preset = presets().find(({ name }) => name === chosen);
  return { ...defaults(store.get().info), ...preset?.params };
}

function fillPresets() {
  const options = (list) => list.map(({ name }) => h("option", { value: name }, name));
  const own = saved();
  const { presets: given } = store.get().info;
  byId("preset").replaceChildren(...options(given), ...(own.length ? [h("optgroup", { label: "Saved" }, options(own))] : []));
  if (!presets().some(({ name }) => name === chosen)) chosen = presets().find(matches)?.name ?? given[0]?.name ?? "";
  byId("preset").value = chosen;
  drawDelete();
}

/** Another session: the preset that its parameters are. */
function rechoose() {
  chosen = "";
  fillPresets();
}

const matches = ({ params: wanted }) => Object.entries(wanted).every(([name, value]) => same(params()[name], value));

function choosePreset(name) {
  chosen = name;
  set(presets().find((preset) => preset.name === name).params);
  drawDelete();
}

function drawDelete() {
  const own = saved().some(({ name }) => name === chosen);
  let button = byId("preset-delete");
  if (own && !button) {
    button = h("button", { type: "button", id: "preset-delete", class: "quiet", "aria-label": "Delete preset", onclick: deletePreset }, "Delete");
    byId("preset-save").after(button);
  }
  if (!own) button?.remove();
}

function deletePreset() {
  if (!keep(kept().filter(({ name }) => name !== chosen))) return say("This browser's storage is full or forbidden: the preset is not deleted.");
  rechoose();
  draw(store.get().session);
  return byId("preset").focus();
}

function askName() {
  const field = h("input", { type: "text", "aria-label": "Preset name", placeholder: "Preset name", maxlength: "60" });
  const note = h("p", { class: "note", role: "status" });
  const form = h("form", { class: "preset-form" }, h("div", { class: "row" }, field, h("button", { type: "submit", class: "quiet" }, "Save")), note);
  const close = () => {
    form.remove();
    byId("preset-save").focus();
  };
  form.addEventListener("keydown", (event) => event.key === "Escape" && (close(), event.stopPropagation()));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    note.textContent = savePreset(field.value.trim());
    if (!note.textContent) close();
  });
  field.addEventListener("input", () => (note.textContent = ""));
  byId("preset-save").parentElement.parentElement.querySelector(".preset-form")?.remove();
  byId("preset-save").parentElement.after(form);
  field.focus();
}

/** Saves what is set under a name; gives why that is not possible, nothing where it is done. */
function savePreset(name) {
  if (!name) return "A preset wants a name.";
  if (store.get().info.presets.some((preset) => preset.name === name)) return `${name} is a preset of the server; choose another name.`;
  const others = kept().filter((preset) => preset.name !== name);
  if (!keep([...others, { name, params: params() }])) return "This browser's storage is full or forbidden: the preset is not saved.";
  chosen = name;
  fillPresets();
  draw(store.get().session);
  say(`Preset ${name} saved`);
  return "";
}

// --- stop sequences --------------------------------------------------------------------------------------------------

const escaped = (text) => JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
const unescaped = (text) => text.replaceAll(/\\([nt\\])/g, (_, c) => ({ n: "\n", t: "\t", "\\": "\\" })[c]);

function stopField() {
  const input = h("input", { type: "text", id: "stop", placeholder: "Type one, press Enter", autocomplete: "off", spellcheck: "false" });
  input.addEventListener("keydown", (event) => {
    const stop = params().stop ?? [];
    if (event.key === "Backspace" && !input.value && stop.length) setStop(stop.slice(0, -1));
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    addStop(input);
  });
  input.addEventListener("change", () => addStop(input));
  input.addEventListener("input", () => noteStop(""));
  const note = h("p", { class: "note", role: "status", id: "stop-note" });
  return h("div", { class: "field" }, h("label", { for: "stop" }, "Stop sequences"), h("ul", { class: "stops", id: "stops", "aria-label": "Stop sequences set" }), input, note);
}

function addStop(input) {
  const text = unescaped(input.value);
  const stop = params().stop ?? [];
  const fresh = text && !stop.includes(text);
  const why = fresh ? refusedStop(stop, text) : "";
  noteStop(why);
  if (why) return; // the text stays, so that it can be made shorter
  input.value = "";
  if (fresh) setStop([...stop, text]);
}

const noteStop = (text) => (byId("stop-note").textContent = text);

/** Why a stop sequence cannot be added; empty where it can. */
function refusedStop(stop, text) {
  const { stops, stop_characters: most } = store.get().info?.limits ?? {};
  if (stop.length >= stops) return `There are ${stops} stop sequences, which is the most; remove one first.`;
  const { length } = [...text];
  return length > most ? `A stop sequence has at most ${most} characters, and this one has ${length}.` : "";
}

const setStop = (stop) => set({ stop });

function drawChips(stop) {
  const list = byId("stops");
  if (list.dataset.shown === JSON.stringify(stop)) return;
  list.dataset.shown = JSON.stringify(stop);
  noteStop("");
  list.hidden = stop.length === 0;
  list.replaceChildren(...stop.map((text) => h("li", { class: "stop-chip" }, h("code", {}, escaped(text)), removeChip(text))));
}

function removeChip(text) {
  const remove = () => {
    setStop((params().stop ?? []).filter((other) => other !== text));
    byId("stop").focus();
  };
  return h("button", { type: "button", "aria-label": `Remove ${escaped(text)}`, onclick: remove }, "×");
}
