/** The playground in a notebook (anywidget). It speaks with Python by messages of the kernel only, never by HTTP. */

const DEBOUNCE_MS = 120;

const CSS = `
.puna {
  --ink: light-dark(#1a1d23, #e6e8ec); --dim: light-dark(#565e6b, #a2abb9); --panel: light-dark(#fff, #1b1e24); --sunk: light-dark(#f5f6f8, #131519);
  --line: light-dark(#d7dbe2, #343a44); --edge: light-dark(#858d9b, #6b7482); --accent: light-dark(#2f4bc7, #91a7ff);
  --on-accent: light-dark(#fff, #10142a); --bad: light-dark(#b3261e, #ff8a80);
  container-type: inline-size; color: var(--ink); background: var(--sunk); font: 14px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif;
  border: 1px solid var(--line); border-radius: 6px; overflow: hidden;
}
[data-jp-theme-light="true"] .puna, .vscode-light .puna { color-scheme: light; }
[data-jp-theme-light="false"] .puna, .vscode-dark .puna { color-scheme: dark; }
.puna *, .puna ::before { box-sizing: border-box; }
.puna-bench { display: grid; grid-template-columns: 200px minmax(0, 1fr) minmax(240px, 34%); height: 560px; }
.puna-bench > * { min-width: 0; min-height: 0; padding: 12px; }
.puna-setup { overflow: auto; background: var(--panel); border-right: 1px solid var(--line); }
.puna-side { display: flex; flex-direction: column; gap: 4px; background: var(--panel); border-left: 1px solid var(--line); }
.puna-middle { display: flex; flex-direction: column; gap: 8px; }
.puna h3 { margin: 0; font-size: 13px; color: inherit; }
.puna p { margin: 0; }
.puna label, .puna-dim { font-size: 12px; color: var(--dim); }
.puna textarea, .puna input[type="number"] {
  font: inherit; color: var(--ink); background: var(--panel); border: 1px solid var(--edge); border-radius: 6px; padding: 4px 8px;
}
.puna textarea { width: 100%; margin-top: 2px; resize: vertical; }
.puna input[type="number"] { width: 90px; text-align: right; }
.puna input[type="range"] { display: block; width: 100%; margin: 4px 0 0; min-height: 24px; accent-color: var(--accent); }
.puna-param { display: grid; grid-template-columns: 1fr auto; align-items: center; margin-top: 8px; }
.puna-param > input[type="range"] { grid-column: 1 / -1; }
.puna-talk { flex: 1; min-height: 0; overflow: auto; overflow-wrap: anywhere; }
.puna-user { padding: 8px 12px; margin: 2px 0 12px; white-space: pre-wrap; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; }
.puna-reply { margin: 2px 0 12px; }
.puna-bad { color: var(--bad); font-weight: 600; }
.puna-row { display: flex; gap: 8px; align-items: center; }
.puna-row > :first-child { flex: 1; }
.puna button {
  min-height: 32px; padding: 0 12px; font: inherit; color: var(--ink); background: var(--panel); border: 1px solid var(--edge); border-radius: 6px; cursor: pointer;
}
.puna .token-popover button { min-height: 24px; padding: 2px 6px; border: 0; color: inherit; background: none; font: inherit; }
.puna .puna-send { align-self: stretch; color: var(--on-accent); background: var(--accent); border-color: var(--accent); }
.puna button:disabled { opacity: 0.5; cursor: default; }
.puna :focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.puna-prompt { flex: 1; min-height: 0; }
.puna-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@container (max-width: 820px) {
  .puna-bench { grid-template-columns: minmax(0, 1fr); height: auto; }
  .puna-bench > * { border: 0; border-bottom: 1px solid var(--line); }
  .puna-middle { order: -1; }
  .puna-talk { max-height: 360px; min-height: 120px; }
  .puna-prompt { max-height: 300px; }
}
`;

let sheet = null;

function style(root) {
  if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(CSS);
  const tree = root.getRootNode();
  const home = tree.adoptedStyleSheets ? tree : document; // a notebook draws before it attaches
  if (!home.adoptedStyleSheets.includes(sheet)) home.adoptedStyleSheets = [...home.adoptedStyleSheets, sheet];
}

function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A view module whose text came from Python: there is no address that it could be fetched from. */
async function moduleOf(text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

const serial = () => Math.random().toString(36).slice(2);

class Bench {
  constructor(model, el, anatomy, tokens) {
    Object.assign(this, { model, el, create: tokens.create, path: [], views: [], run: null, sent: null, stale: false, timer: 0 });
    style(el);
    el.classList.add("puna");
    el.dataset.lmSuppressShortcuts = ""; // or typing would run JupyterLab's shortcuts
    this.build();
    this.prompt = anatomy.mount(this.promptRoot);
    const atEnd = () => this.talk.scrollHeight - this.talk.scrollTop - this.talk.clientHeight < 40;
    this.follows = true;
    this.talk.addEventListener("scroll", () => { this.follows = atEnd(); });
    this.endFollow = tokens.afterFrame(() => this.follows && (this.talk.scrollTop = this.talk.scrollHeight));
    this.heard = (message) => this.hear(message);
    this.changed = () => this.adopt(model.get("messages"));
    this.ask = () => this.askSoon();
    model.on("msg:custom", this.heard);
    model.on("change:messages", this.changed);
    model.on("change:system change:params", this.ask);
    this.path = model.get("messages");
    this.draw();
  }

  /** Takes the conversation that Python, or another view, has; what this view has already keeps its tokens. */
  adopt(messages) {
    if (this.run || JSON.stringify(plain(this.path)) === JSON.stringify(messages)) return;
    this.path = messages;
    this.draw();
  }

  save(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
    this.askSoon();
  }

  // --- what stands there ---

  build() {
    this.talk = h("div", { className: "puna-talk", role: "group", ariaLabel: "Conversation", tabIndex: 0 });
    this.status = h("p", { className: "puna-dim" }, "Ready");
    this.polite = h("p", { className: "puna-hidden", role: "status" });
    this.alert = h("p", { className: "puna-bad", role: "alert" });
    this.budget = h("p", { className: "puna-dim" });
    this.findings = h("p", { className: "puna-dim" });
    this.promptRoot = h("div", { className: "puna-prompt" });
    this.message = h("textarea", { rows: 2, placeholder: "Message the model", ariaLabel: "Message" });
    this.message.addEventListener("input", () => this.askSoon());
    this.message.addEventListener("keydown", (event) => this.key(event));
    this.send = h("button", { type: "button", className: "puna-send", onclick: () => (this.run ? this.stop() : this.say()) }, "Send");
    this.clear = h("button", { type: "button", onclick: () => this.begin([]) }, "Clear");
    this.el.append(h("div", { className: "puna-bench" },
      h("section", { className: "puna-setup", ariaLabel: "Setup" }, ...this.setup()),
      h("section", { className: "puna-middle", ariaLabel: "Conversation" }, h("div", { className: "puna-row" }, this.status, this.clear),
        this.talk, this.alert, this.budget, h("div", { className: "puna-row" }, this.message, this.send), this.polite),
      h("section", { className: "puna-side", ariaLabel: "Prompt anatomy" }, this.heading(), this.promptRoot, this.findings)));
  }

  heading() {
    const heat = h("input", { type: "checkbox", checked: this.model.get("heat") });
    heat.addEventListener("change", () => {
      this.save("heat", heat.checked);
      for (const view of this.views) view.setHeat(heat.checked);
    });
    return h("div", { className: "puna-row" }, h("h3", {}, "Prompt anatomy"), h("label", {}, heat, " Probabilities"));
  }

  setup() {
    const { model, format, params } = this.model.get("info");
    const system = h("textarea", { rows: 3, value: this.model.get("system"), spellcheck: false });
    system.addEventListener("input", () => this.save("system", system.value));
    const titled = h("label", {}, "System message", system);
    return [h("p", { className: "puna-dim" }, `${model} · ${format ?? "the server’s own format"}`), titled, ...params.map((param) => this.param(param))];
  }

  param({ name, label, min, max, step, help, default: value }) {
    const now = this.model.get("params")[name] ?? value;
    const made = (type) => h("input", { type, min, max: max ?? (type === "range" ? 4096 : ""), step, value: now ?? "", title: help, ariaLabel: label });
    const number = made("number");
    number.placeholder = "random";
    const range = name === "seed" ? null : made("range");
    const set = (from, to) => {
      const empty = from.value === "";
      if (empty ? range : !from.checkValidity() && !from.validity.stepMismatch) return;
      if (to) to.value = from.value;
      this.save("params", { ...this.model.get("params"), [name]: empty ? null : Number(from.value) });
    };
    number.addEventListener("input", () => set(number, range));
    number.addEventListener("change", () => { if (range && !(number.value !== "" && number.checkValidity())) number.value = range.value; });
    range?.addEventListener("input", () => set(range, number));
    return h("div", { className: "puna-param" }, h("span", { className: "puna-dim", title: help }, label), number, ...(range ? [range] : []));
  }

  draw() {
    for (const view of this.views) view.destroy();
    this.views = [];
    this.talk.replaceChildren();
    this.path.forEach((message, n) => this.add(message, n));
    this.askSoon();
  }

  add({ role, content, tokens = null }, n) {
    if (role === "user") {
      this.talk.append(h("p", { className: "puna-dim" }, "User"), h("div", { className: "puna-user" }, content));
      return null;
    }
    const root = h("div", { className: "puna-reply" });
    this.talk.append(h("p", { className: "puna-dim" }, "Assistant"), root);
    const view = this.create(root, {
      heat: this.model.get("heat"),
      onPick: (i, [id, t, lp]) => this.run || this.go(this.path.slice(0, n), [...view.tokens.slice(0, i), { id, t, lp }]),
    });
    view.load(tokens ?? [{ id: null, t: content, lp: null }]);
    this.views.push(view);
    return view;
  }

  // --- the prompt ---

  body(messages) {
    return { system: this.model.get("system"), messages, params: this.model.get("params"), policy: this.model.get("policy") };
  }

  askSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.askNow(), DEBOUNCE_MS);
  }

  /** Asks for the prompt's anatomy; while an answer is awaited it only notes that another must be asked for. */
  askNow() {
    this.stale = this.sent !== null;
    if (this.stale) return;
    this.sent = serial();
    const draft = this.message.value || !this.run ? [{ role: "user", content: this.message.value }] : [];
    this.model.send({ type: "anatomy", seq: this.sent, body: this.body([...plain(this.path), ...draft]) });
  }

  drawPrompt({ data, message }) {
    this.sent = null;
    if (this.stale) this.askNow();
    if (message) {
      this.budget.textContent = message;
      return;
    }
    this.prompt.update(data);
    const { prompt_tokens: used, reserve, context, over, free, fits_max_tokens: fits } = data;
    const left = over ? `${over} over${fits ? `; lower Max tokens to ${fits}` : ""}` : `${free} free`;
    const counted = `${used ?? "?"} tokens + ${reserve} reserved`;
    this.budget.textContent = used === null || context === null ? `${counted} · not all is told` : `${counted} = ${used + reserve} / ${context} · ${left}`;
    this.budget.classList.toggle("puna-bad", over > 0);
    this.findings.textContent = data.findings.join(" · ");
  }

  // --- a turn ---

  key(event) {
    if (event.key === "Escape" && this.run) this.stop();
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !this.run) this.say();
    else return;
    event.preventDefault();
  }

  begin(path) {
    if (this.run) this.stop();
    this.path = path;
    this.save("messages", plain(path));
    this.draw();
  }

  say() {
    if (!this.message.value.trim()) return;
    const path = [...this.path, { role: "user", content: this.message.value }];
    this.message.value = "";
    this.go(path, []);
  }

  /** Has the last message of a path answered. begun: tokens with which the answer shall begin. */
  go(path, begun) {
    this.begin(path);
    const id = serial();
    this.alert.textContent = "";
    this.follows = true;
    this.run = { id, view: this.add({ role: "assistant", content: "", tokens: begun }, path.length), since: Date.now(), count: 0 };
    this.run.clock = setInterval(() => this.tell(), 500);
    this.send.textContent = "Stop";
    this.tell();
    this.model.send({ type: "generate", id, body: { ...this.body(plain(path)), ...beginning(begun, path) } });
  }

  tell() {
    const { since, first, count } = this.run;
    const rate = Math.round((1000 * count) / Math.max(1, Date.now() - first));
    const waits = Math.round((Date.now() - since) / 1000);
    this.status.textContent = first ? `Streaming… ${count} tokens · ${rate}/s` : `Waiting for the first token… ${waits} s`;
  }

  hear(message) {
    if (message.seq !== undefined && message.seq === this.sent) this.drawPrompt(message);
    if (!this.run || message.id !== this.run.id) return;
    if (message.type === "error") this.end("failed", message);
    else for (const record of message.records) this.take(record);
  }

  take(record) {
    if (record.type === "tok") {
      this.run.first ??= Date.now();
      this.run.count += 1;
      this.run.view.push(record);
    } else if (record.type === "done") this.end(record.finish === "length" ? "cut at Max tokens" : "finished");
    else if (record.type === "error") this.end("failed", record);
  }

  stop() {
    this.model.send({ type: "stop", id: this.run.id });
    this.end("stopped");
  }

  end(how, { message = "" } = {}) {
    const { view, count, clock } = this.run;
    this.run = null;
    clearInterval(clock);
    view.finish();
    this.send.textContent = "Send";
    this.alert.textContent = message;
    this.status.textContent = `Reply ${how}, ${count} token${count === 1 ? "" : "s"}`;
    this.polite.textContent = this.status.textContent;
    if (view.text) this.path = [...this.path, { role: "assistant", content: view.text, tokens: view.tokens }];
    this.save("messages", plain(this.path));
    this.talk.scrollTop = this.talk.scrollHeight;
  }

  destroy() {
    if (this.run) this.stop();
    clearTimeout(this.timer);
    this.endFollow();
    this.model.off("msg:custom", this.heard);
    this.model.off("change:messages", this.changed);
    this.model.off("change:system change:params", this.ask);
    this.prompt.destroy();
    for (const view of this.views) view.destroy();
  }
}

const plain = (messages) => messages.map(({ role, content }) => ({ role, content }));

/** How a begun answer is said: by its tokens, or by its text where an id is not known. */
function beginning(begun, path) {
  if (!begun.length) return {};
  if (begun.every(({ id }) => id !== null)) return { begun: begun.map(({ id, t, bytes }) => (bytes ? [id, t, bytes] : [id, t])) };
  return { messages: [...plain(path), { role: "assistant", content: begun.map(({ t }) => t).join("") }] };
}

export default {
  async render({ model, el }) {
    const { anatomy, tokens } = model.get("modules");
    const bench = new Bench(model, el, await moduleOf(anatomy), await moduleOf(tokens));
    return () => bench.destroy();
  },
};
