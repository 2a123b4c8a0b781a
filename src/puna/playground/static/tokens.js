/** An answer, token by token, with probabilities. One file without imports: the page uses `create`, a notebook the default export. */

const SHOWN = 5; // candidates
const PER_FRAME = 1000; // tokens of one view in one frame: after a hidden tab comes back, thousands wait
const WAIT_MS = { open: 60, change: 200, leave: 250 }; // change: while it is open, as the pointer may cross tokens on its way to it
const HEAT = [0.9, 0.7, 0.45, 0.2]; // below each of these a step hotter

const CSS = `
.token-root {
  --tk-ink: var(--ink, light-dark(#1a1d23, #e6e8ec)); --tk-dim: var(--dim, light-dark(#565e6b, #a2abb9));
  --tk-panel: var(--panel, light-dark(#fff, #1b1e24)); --tk-accent: var(--accent, light-dark(#2f4bc7, #91a7ff));
  --tk-heat: var(--heat, light-dark(#e8590c, #ff922b)); --tk-bad: var(--bad, light-dark(#b3261e, #ff8a80));
}
[data-jp-theme-light="true"] .token-root, .vscode-light .token-root { color-scheme: light; }
[data-jp-theme-light="false"] .token-root, .vscode-dark .token-root { color-scheme: dark; }
.token-view { color: var(--tk-ink); white-space: pre-wrap; overflow-wrap: anywhere; outline: none; }
.token-block { contain: layout style; }
.token-view [data-i] { border-radius: 2px; scroll-margin: 24px; }
.token-view [data-i]:focus { outline: 2px solid var(--tk-accent); }
.token-given { color: var(--tk-dim); }
.token-heat .token-1 { background: color-mix(in srgb, var(--tk-heat) 9%, transparent); } .token-heat .token-2 { background: color-mix(in srgb, var(--tk-heat) 18%, transparent); }
.token-heat .token-3 { background: color-mix(in srgb, var(--tk-heat) 30%, transparent); }
.token-heat .token-4 { background: color-mix(in srgb, var(--tk-heat) 42%, transparent); text-decoration: underline dotted; text-underline-offset: 3px; }
.token-heat .token-line::before { content: "⏎"; color: var(--tk-dim); }
.token-view .token-differs { outline: 2px solid var(--tk-bad); font-weight: 700; }
.token-broken::before { content: "\\fffd"; color: var(--tk-dim); }
.token-popover {
  position: fixed; inset: auto; margin: 0; padding: 8px; width: max-content; max-width: min(380px, calc(100vw - 8px)); max-height: 60vh; overflow: auto;
  border: 1px solid transparent; border-radius: 6px; color: var(--tk-panel); background: var(--tk-ink); box-shadow: 0 4px 16px rgb(0 0 0 / 25%);
  font: 12px/1.5 ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
.token-popover p { margin: 0 6px 4px; overflow-wrap: anywhere; white-space: pre-wrap; }
.token-popover ol { margin: 0; padding: 0; list-style: none; }
.token-row {
  display: grid; grid-template-columns: minmax(7em, 1fr) 64px 5em; gap: 6px; align-items: center; box-sizing: border-box; width: 100%; min-height: 24px;
  padding: 2px 6px; border: 0; border-radius: 4px; color: inherit; background: none; font: inherit; text-align: left;
}
button.token-row:hover { cursor: pointer; background: color-mix(in srgb, var(--tk-panel) 18%, transparent); }
button.token-row:focus-visible { outline: 2px solid currentColor; outline-offset: -2px; }
.token-row[data-chosen] { font-weight: 700; }
.token-row > :first-child { white-space: pre-wrap; overflow-wrap: anywhere; } .token-row > :last-child { text-align: right; }
.token-bar { display: block; height: 7px; min-width: 1px; background: color-mix(in srgb, var(--tk-panel) 65%, transparent); forced-color-adjust: none; }
@media (forced-colors: active) { .token-bar { background: CanvasText; } }
`;

let sheet = null;
function style(root) {
  if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(CSS);
  const home = root.getRootNode().adoptedStyleSheets ? root.getRootNode() : document; // a notebook draws before it attaches
  if (!home.adoptedStyleSheets.includes(sheet)) home.adoptedStyleSheets = [...home.adoptedStyleSheets, sheet];
}

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

const known = (lp) => typeof lp === "number";
/** Whether a candidate, [id, text, ...], is the token that was chosen; where no ids are told, by its text. */
const isChosen = ([id, t], token) => id === token.id && (id !== null || t === token.t);
const percent = (p) => `${(100 * p).toFixed(1)} %`;
const waiting = new Set(); // views with tokens to append
const after = new Set();
let frame = 0;

/** One frame for all views: everything is appended before anyone reads the layout. */
function tick() {
  frame = 0;
  for (const view of [...waiting]) if (view.append(PER_FRAME)) waiting.delete(view);
  for (const run of after) run();
  schedule();
}

function schedule() {
  if (waiting.size && !frame) frame = requestAnimationFrame(tick);
}

/** Runs `fn` after each frame that appended tokens, for scrolling; returns what ends that. */
export function afterFrame(fn) {
  after.add(fn);
  return () => after.delete(fn);
}

/** Candidates to show: the most probable, and the chosen one in any case. */
function rows(token) {
  const shown = (token.top ?? []).filter(([, , lp]) => known(lp)).slice(0, SHOWN);
  if (known(token.lp) && !shown.some((candidate) => isChosen(candidate, token))) shown.splice(SHOWN - 1, 1, [token.id, token.t, token.lp]);
  return shown.sort((a, b) => b[2] - a[2]);
}

/** The page's one popover of candidates; it stands inside the view that it is open for, so that Tab reaches it. */
const tip = {
  node: null,
  view: null,
  anchor: null, // the token that it is open for
  pinned: false, // by Enter: it stays, and the down arrow goes into it

  show(view, i) {
    this.hide();
    this.node ??= this.built();
    if (this.node.parentNode !== view.root) view.root.append(this.node);
    this.view = view;
    this.anchor = view.spans[i];
    this.node.replaceChildren(...view.described(i));
    this.anchor.setAttribute("aria-describedby", this.node.id);
    this.node.showPopover();
    this.open = new AbortController();
    const whileOpen = { capture: true, signal: this.open.signal };
    document.addEventListener("scroll", (event) => this.node.contains(event.target) || this.place(), whileOpen);
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.escape(event), whileOpen);
    window.addEventListener("resize", () => this.place(), whileOpen);
    this.place();
  },

  built() {
    const node = make("div", "token-popover");
    node.popover = "manual";
    node.id = `token-tip-${Math.random().toString(36).slice(2)}`;
    node.setAttribute("role", "group");
    node.setAttribute("aria-label", "Alternatives");
    node.addEventListener("pointerleave", () => this.leave());
    node.addEventListener("focusout", (event) => node.contains(event.relatedTarget) || setTimeout(() => this.leave()));
    node.addEventListener("keydown", (event) => walk(event, node));
    return node;
  },

  /** Above the token, or below the line after it: what follows it stays in sight and in reach. */
  place() {
    const rect = this.anchor.getClientRects()[0];
    if (!rect || rect.bottom < 0 || rect.top > innerHeight) return this.hide();
    const { width, height } = this.node.getBoundingClientRect();
    const above = rect.top - height - 1;
    const top = above >= 4 ? above : Math.min(rect.bottom + rect.height, innerHeight - height - 4);
    this.node.style.setProperty("left", `${Math.max(4, Math.min(rect.left, innerWidth - width - 4))}px`);
    return this.node.style.setProperty("top", `${top}px`);
  },

  /** Hides it unless the pointer or the focus is in it or on its token. */
  leave() {
    if (this.anchor && !this.pinned && !this.node.matches(":hover, :focus-within") && !this.anchor.matches(":hover, :focus")) this.hide();
  },

  escape(event) {
    event.preventDefault();
    event.stopImmediatePropagation();
    if (this.node.matches(":focus-within")) this.anchor.focus(); // which shows it anew, until the next line
    this.hide();
  },

  hide() {
    if (!this.anchor) return;
    this.open.abort();
    this.anchor.removeAttribute("aria-describedby");
    Object.assign(this, { anchor: null, pinned: false });
    if (this.node.isConnected) this.node.hidePopover();
  },
};

function walk(event, node) {
  const buttons = [...node.querySelectorAll("button")];
  const at = buttons.indexOf(event.target);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to !== undefined) event.preventDefault();
  buttons[to]?.focus();
}

class View {
  constructor(root, { heat = true, onPick = null, onFocus = null, prefix = 0, label = "Reply, token by token" }) {
    style(root);
    Object.assign(this, { root, onPick, onFocus, prefix, tokens: [], spans: [], current: null, block: null, under: null, timer: 0 });
    this.group = make("div", "token-view");
    this.group.setAttribute("role", "group");
    this.group.setAttribute("aria-label", label);
    this.group.tabIndex = -1;
    root.classList.add("token-root");
    root.append(this.group);
    this.setHeat(heat);
    for (const name of ["keydown", "focusin", "focusout", "pointerdown", "pointermove", "pointerout"]) this.group.addEventListener(name, (event) => this[`on_${name}`](event));
  }

  get text() {
    return this.tokens.map(({ t }) => t).join("");
  }

  push(token) {
    this.tokens.push(token);
    waiting.add(this);
    schedule();
  }

  load(tokens) {
    if (tip.view === this) tip.hide();
    this.group.replaceChildren();
    Object.assign(this, { tokens: [...tokens], spans: [], current: null, block: null });
    this.finish();
  }

  /** Draws what waits now, and a sign for bytes that did not become a character. */
  finish() {
    waiting.delete(this);
    this.append(Infinity);
    this.signBroken(true);
  }

  unfinished(i) {
    return this.tokens[i].t === "" && this.tokens[i].bytes;
  }

  signBroken(on) {
    for (let i = this.spans.length - 1; i >= 0 && this.unfinished(i); i -= 1) this.spans[i].classList.toggle("token-broken", on);
  }

  /** Draws up to `most` waiting tokens; true when none waits any more. */
  append(most) {
    const end = Math.min(this.tokens.length, this.spans.length + most);
    this.signBroken(false);
    for (let i = this.spans.length; i < end; i += 1) {
      this.block ??= this.group.appendChild(make("div", "token-block"));
      this.block.append(this.span(this.tokens[i], i));
      if (this.tokens[i].t.endsWith("\n")) this.block = null;
    }
    if (this.current === null) this.settle(this.stop(0, 1));
    return end === this.tokens.length;
  }

  span(token, i) {
    const span = document.createElement("span");
    span.setAttribute("data-i", i);
    const step = known(token.lp) ? HEAT.filter((bound) => Math.exp(token.lp) < bound).length : 0;
    if (i < this.prefix) span.className = "token-given";
    else if (step) span.className = `token-${step}`;
    if (/^\n+$/.test(token.t)) span.classList.add("token-line"); // it has nothing to point at otherwise
    span.textContent = token.t;
    this.spans.push(span);
    return span;
  }

  setHeat(heat) {
    this.group.classList.toggle("token-heat", heat);
  }

  mark(i) {
    this.group.querySelector(".token-differs")?.classList.remove("token-differs");
    if (i >= this.spans.length) this.append(Infinity);
    this.spans[i]?.classList.add("token-differs");
  }

  destroy() {
    clearTimeout(this.timer);
    waiting.delete(this);
    if (tip.view === this) tip.hide();
    if (tip.node?.parentNode === this.root) tip.node.remove();
    this.root.classList.remove("token-root");
    this.group.remove();
  }

  /** The nearest token in a direction that can be seen: the last one of a character's. */
  stop(i, step) {
    for (let at = i; at >= 0 && at < this.spans.length; at += step) {
      if (this.tokens[at].t || this.spans[at].classList.contains("token-broken")) return at;
    }
    return null;
  }

  line(i, step) {
    const box = (at) => this.spans[at].getClientRects()[0] ?? this.spans[at].getBoundingClientRect();
    let [start, line, best, least] = [box(i), null, null, Infinity];
    for (let at = this.stop(i + step, step); at !== null; at = this.stop(at + step, step)) {
      const rect = box(at);
      if (!line && (step > 0 ? rect.top < start.bottom - 4 : rect.bottom > start.top + 4)) continue;
      if (line && (step > 0 ? rect.top > line.bottom - 4 : rect.bottom < line.top + 4)) break;
      line ??= rect;
      const away = Math.abs(rect.left + rect.right - start.left - start.right);
      if (away < least) [best, least] = [at, away];
    }
    return best;
  }

  described(i) {
    const token = this.tokens[i];
    const nodes = this.ids(i).map((line) => make("p", "", line));
    nodes[0].prepend(`${JSON.stringify(token.t)} · ${i < this.prefix ? "given · " : ""}`);
    const shown = rows(token);
    if (!shown.length) return [...nodes, make("p", "", "The engine tells no probabilities here.")];
    const list = make("ol");
    list.append(...shown.map((candidate) => this.row(i, candidate)));
    const sum = shown.reduce((total, [, , lp]) => total + Math.exp(lp), 0);
    return [...nodes, list, make("p", "", `shown: ${percent(Math.min(1, sum))}${this.onPick ? " · choose one to go on from it" : ""}`)];
  }

  /** The ids of the tokens that make what is seen at i: one, or those of a character's bytes. */
  ids(i) {
    let from = i;
    while (from > 0 && this.tokens[from].bytes && this.unfinished(from - 1)) from -= 1;
    return this.tokens.slice(from, i + 1).map(({ id, bytes }, n) => `id ${id ?? "not told"} · position ${from + n}${bytes ? ` · bytes ${bytes}` : ""}`);
  }

  row(i, candidate) {
    const [id, t, lp, control] = candidate;
    const chosen = isChosen(candidate, this.tokens[i]);
    const told = control ? t : JSON.stringify(t); // a control token's text is only its name: nothing can follow it
    const row = make(this.onPick && !control ? "button" : "div", "token-row");
    const share = percent(Math.exp(lp));
    const bar = make("span", "token-bar");
    bar.style.setProperty("width", `${100 * Math.exp(lp)}%`);
    row.title = `id ${id ?? "not told"}`;
    row.append(make("span", "", `${told}${chosen ? " · chosen" : ""}`), bar, make("span", "", share));
    row.toggleAttribute("data-chosen", chosen);
    if (row.type) {
      row.type = "button"; // of no form
      row.setAttribute("aria-label", `${told}${chosen ? " · chosen" : ""} ${share}. Continue from here with this token`);
      row.addEventListener("click", () => { tip.hide(); this.onPick(i, candidate); });
    }
    return make("li").appendChild(row).parentNode;
  }

  settle(i) {
    this.spans[this.current]?.removeAttribute("tabindex");
    this.current = i;
    if (i !== null) this.spans[i].tabIndex = 0;
  }

  go(i) {
    if (i === null) return;
    this.settle(i);
    this.spans[i].focus();
  }

  indexOf(target) {
    return target.closest("[data-i]") && Number(target.closest("[data-i]").dataset.i);
  }

  on_keydown(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || this.current === null) return;
    const i = this.current;
    const moves = {
      ArrowLeft: () => this.stop(i - 1, -1), ArrowRight: () => this.stop(i + 1, 1), ArrowUp: () => this.line(i, -1),
      ArrowDown: () => this.line(i, 1), Home: () => this.stop(0, 1), End: () => this.stop(this.spans.length - 1, -1),
    };
    if (event.key === "Enter" && tip.anchor !== this.spans[i]) tip.show(this, i);
    if (event.key === "Enter") tip.pinned = true;
    else if (event.key === "ArrowDown" && tip.pinned) tip.node.querySelector("button")?.focus();
    else if (event.key in moves) this.go(moves[event.key]());
    else return;
    event.preventDefault();
  }

  on_focusin({ target }) {
    const i = this.indexOf(target);
    clearTimeout(this.timer); // the focus says more than a pointer that rests
    if (i !== null) tip.show(this, i);
    if (i !== null) this.onFocus?.(i);
    else if (!this.group.matches(":active")) this.go(this.current);
  }

  on_focusout(event) {
    if (!tip.node?.contains(event.relatedTarget)) setTimeout(() => tip.leave());
  }

  on_pointerdown({ target }) {
    if (this.indexOf(target) !== null) this.settle(this.indexOf(target)); // the press then focuses it
  }

  /** Not pointerover, which comes also when the text moves under a pointer that rests. */
  on_pointermove({ target }) {
    const i = this.indexOf(target);
    if (i === this.under) return;
    this.under = i;
    clearTimeout(this.timer);
    if (i === null || tip.anchor === this.spans[i] || tip.node?.matches(":focus-within")) return;
    this.timer = setTimeout(() => this.spans[i]?.isConnected && tip.show(this, i), tip.anchor ? WAIT_MS.change : WAIT_MS.open);
  }

  on_pointerout() {
    this.under = null;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => tip.leave(), WAIT_MS.leave);
  }
}

/** A view in `root`. options: heat, onPick(i, [id, t, lp]), onFocus(i), prefix (tokens that were given), label. */
export function create(root, options = {}) {
  return new View(root, options);
}

export default {
  render({ model, el }) {
    el.dataset.lmSuppressShortcuts = ""; // or arrows would move JupyterLab's selection
    const view = create(el, { heat: model.get("heat") });
    const draw = () => view.load(model.get("tokens"));
    const heat = () => view.setHeat(model.get("heat"));
    model.on("change:tokens", draw);
    model.on("change:heat", heat);
    draw();
    return () => {
      model.off("change:tokens", draw);
      model.off("change:heat", heat);
      view.destroy();
    };
  },
};
