/** The exact prompt, token by token. One file without imports: the page uses `mount`, a notebook the default export (anywidget). */

const LEGEND = { marker: "markers", system: "system", context: "context", example: "example", user: "user", assistant: "assistant" };
const ONLY_WHEN_USED = new Set(["context", "example"]);
const CHUNK = 200; // tokens after which a line end closes a block that is laid out by itself
const LONGEST = 1000; // tokens after which a block is closed without one: laying out 32k tokens as one paragraph takes 0.6 s
const HOVER_MS = 60;
const LEAVE_MS = 160;

const CSS = `
.anatomy {
  --an-ink: var(--ink, light-dark(#1a1d23, #e6e8ec)); --an-dim: var(--dim, light-dark(#565e6b, #a2abb9));
  --an-panel: var(--panel, light-dark(#fff, #1b1e24)); --an-line: var(--line, light-dark(#d7dbe2, #343a44));
  --an-accent: var(--accent, light-dark(#2f4bc7, #91a7ff)); --an-sunk: var(--sunk, light-dark(#eef0f3, #101216));
  --an-marker: var(--marker, light-dark(#7a3fb0, #c9a1f5)); --an-system: var(--system, light-dark(#0b6e5c, #6fd3bd));
  --an-user: var(--user, light-dark(#1f4fbf, #8fb0ff)); --an-assistant: var(--assistant, light-dark(#8a4b08, #f0b36b));
  --an-context: var(--context, light-dark(#0a6478, #72cfe6)); --an-example: var(--example, light-dark(#9c2c66, #f29cc6));
  display: flex; flex-direction: column; min-height: 0; min-width: 0; color: var(--an-ink); background: var(--an-panel);
  font: 12.5px/1.75 ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
[data-jp-theme-light="true"] .anatomy, .vscode-light .anatomy { color-scheme: light; }
[data-jp-theme-light="false"] .anatomy, .vscode-dark .anatomy { color-scheme: dark; }
.anatomy-legend { display: flex; flex-wrap: wrap; gap: 0 12px; margin: 0; padding: 0; list-style: none; font-size: 12px; }
.anatomy [data-kind="marker"] { color: var(--an-marker); font-weight: 700; }
.anatomy [data-kind="system"] { color: var(--an-system); }
.anatomy [data-kind="context"] { color: var(--an-context); }
.anatomy [data-kind="example"] { color: var(--an-example); }
.anatomy [data-kind="user"] { color: var(--an-user); }
.anatomy [data-kind="assistant"] { color: var(--an-assistant); }
.anatomy-untold { flex: none; margin: 0 0 4px; color: var(--an-dim); font: 12px/1.5 system-ui, sans-serif; }
.anatomy-pruned { flex: none; color: var(--an-dim); font-size: 12px; }
.anatomy-pruned summary { cursor: pointer; min-height: 24px; }
.anatomy-pruned ul { margin: 0 0 4px; padding-left: 20px; }
.anatomy-tokens { flex: 1 1 auto; min-height: 0; overflow: auto; padding: 4px 2px; white-space: pre-wrap; overflow-wrap: anywhere; outline: none; }
.anatomy-turn { border-left: 3px solid var(--an-line); padding-left: 12px; margin-bottom: 8px; }
.anatomy-chunk { content-visibility: auto; contain-intrinsic-height: auto 300px; }
.anatomy-tokens [data-i] { border-radius: 2px; scroll-margin: 24px; }
.anatomy-tokens [data-i]:hover { background: var(--an-sunk); }
.anatomy-tokens [data-i]:focus { outline: 2px solid var(--an-accent); outline-offset: 0; }
.anatomy-tokens [data-w] { font-style: normal; position: relative; }
.anatomy-tokens [data-w]::before { content: attr(data-w); font-weight: 400; color: var(--an-dim); }
.anatomy-tokens [data-w="·"]::before { position: absolute; left: 0; }
.anatomy-popover {
  position: fixed; inset: auto; margin: 0; max-width: min(420px, calc(100vw - 8px)); max-height: 60vh; overflow: auto; padding: 6px 10px;
  border: 1px solid transparent; border-radius: 6px; color: var(--an-panel); background: var(--an-ink); white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: 12px; line-height: 1.6; box-shadow: 0 4px 16px rgb(0 0 0 / 25%);
}
.anatomy-popover b { display: block; }
`;

let sheet = null;

function style(root) {
  if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(CSS);
  const tree = root.getRootNode();
  const home = tree.adoptedStyleSheets ? tree : document; // a notebook draws before it attaches
  if (!home.adoptedStyleSheets.includes(sheet)) home.adoptedStyleSheets = [...home.adoptedStyleSheets, sheet];
}

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

function flatten(segments) {
  const tokens = [];
  for (const { kind, turn, message, tokens: own } of segments) {
    for (const [id, text, hex] of own) tokens.push({ id, text, hex, kind, turn, message });
  }
  return tokens;
}

function same(a, b) {
  return a.id === b.id && a.text === b.text && a.kind === b.kind && a.turn === b.turn && a.message === b.message && a.hex === b.hex;
}

function commonLength(a, b) {
  const end = Math.min(a.length, b.length);
  for (let n = 0; n < end; n += 1) if (!same(a[n], b[n])) return n;
  return end;
}

/** A marker's spaces and line ends are drawn by CSS, so that textContent stays the prompt's exact text. */
function spellMarker(span, text) {
  for (const piece of text.split(/([ \n])/)) {
    if (piece === " " || piece === "\n") {
      const white = make("i", "", piece);
      white.dataset.w = piece === " " ? "·" : "⏎";
      span.append(white);
    } else if (piece) span.append(piece);
  }
}

/** The blocks of turns; keeps what did not change since the last drawing. */
class Drawing {
  constructor(group) {
    this.group = group;
    this.tokens = [];
    this.spans = [];
    this.chunks = []; // {node, start, end}
  }

  update(tokens) {
    const common = commonLength(this.tokens, tokens);
    while (this.chunks.length && this.chunks.at(-1).end >= common) this.drop(this.chunks.pop());
    const from = this.chunks.length ? this.chunks.at(-1).end : 0;
    this.tokens = tokens;
    this.spans.length = from;
    this.draw(from);
  }

  drop({ node }) {
    const turn = node.parentNode;
    node.remove();
    if (!turn.firstChild) turn.remove();
  }

  draw(from) {
    let [turn, chunk, part, number] = [null, null, null, null];
    if (from) [turn, number] = [this.chunks.at(-1).node.parentNode, this.tokens[from - 1].turn];
    const fresh = document.createDocumentFragment();
    for (let i = from; i < this.tokens.length; i += 1) {
      const token = this.tokens[i];
      if (!turn || token.turn !== number) {
        [turn, chunk, number] = [make("div", "anatomy-turn"), null, token.turn];
        fresh.append(turn);
      }
      if (!chunk) {
        [chunk, part] = [{ node: make("div", "anatomy-chunk"), start: i, end: i }, null];
        turn.append(chunk.node);
        this.chunks.push(chunk);
      }
      if (part?.dataset.kind !== token.kind) {
        part = make("span");
        part.dataset.kind = token.kind;
        chunk.node.append(part);
      }
      if (token.message !== null && turn.dataset.message === undefined) turn.dataset.message = token.message;
      part.append(this.span(token, i));
      chunk.end = i + 1;
      const size = chunk.end - chunk.start;
      if (size >= LONGEST || (size >= CHUNK && token.text.endsWith("\n"))) chunk = null;
    }
    this.group.append(fresh);
  }

  span(token, i) {
    const span = document.createElement("span");
    span.setAttribute("data-i", i);
    if (token.kind === "marker" && /[ \n]/.test(token.text)) spellMarker(span, token.text);
    else span.textContent = token.text;
    this.spans.push(span);
    return span;
  }

  /** The nearest token in a direction that has something to see; a character of several tokens is one stop. */
  stop(i, step) {
    for (let at = i; at >= 0 && at < this.tokens.length; at += step) if (this.tokens[at].text) return at;
    return null;
  }

  /** The token above or below. */
  line(i, step) {
    const box = (at) => this.spans[at].getClientRects()[0] ?? this.spans[at].getBoundingClientRect();
    const start = box(i);
    const middle = start.left + start.width / 2;
    let [line, best, least] = [null, null, Infinity];
    for (let at = this.stop(i + step, step); at !== null; at = this.stop(at + step, step)) {
      const rect = box(at);
      if (!line && (step > 0 ? rect.top < start.bottom - 4 : rect.bottom > start.top + 4)) continue;
      if (line && (step > 0 ? rect.top > line.bottom - 4 : rect.bottom < line.top + 4)) break;
      line ??= rect;
      const away = Math.abs(rect.left + rect.width / 2 - middle);
      if (away < least) [best, least] = [at, away];
    }
    return best;
  }

  /** Indices of the tokens that make the character at i. */
  pieces(i) {
    let from = i;
    while (from > 0 && this.tokens[from].hex && this.tokens[from - 1].hex && !this.tokens[from - 1].text) from -= 1;
    return Array.from({ length: i - from + 1 }, (_, n) => from + n);
  }
}

/** The popover, placed inside the viewport beside a token. */
class Tip {
  constructor(root) {
    this.node = make("div", "anatomy-popover");
    this.node.popover = "manual";
    this.node.setAttribute("role", "tooltip");
    this.node.id = `anatomy-tip-${Math.random().toString(36).slice(2)}`;
    this.node.addEventListener("pointerleave", () => this.hide());
    root.append(this.node);
    this.anchor = null;
  }

  show(anchor, [first, ...others]) {
    this.hide();
    this.node.replaceChildren(make("b", "", first), ...others.map((line) => make("div", "", line)));
    this.anchor = anchor;
    anchor.setAttribute("aria-describedby", this.node.id);
    this.node.showPopover();
    this.open = new AbortController();
    const whileOpen = { capture: true, signal: this.open.signal };
    document.addEventListener("scroll", () => this.place(), whileOpen);
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.escape(event), whileOpen);
    window.addEventListener("resize", () => this.place(), whileOpen);
    this.place();
  }

  place() {
    const rect = this.anchor.getClientRects()[0];
    if (!rect || rect.bottom < 0 || rect.top > innerHeight) return this.hide();
    const { width, height } = this.node.getBoundingClientRect();
    const top = rect.bottom + 2 + height <= innerHeight ? rect.bottom + 2 : Math.max(4, rect.top - height - 2);
    this.node.style.setProperty("left", `${Math.max(4, Math.min(rect.left, innerWidth - width - 4))}px`);
    return this.node.style.setProperty("top", `${top}px`);
  }

  escape(event) {
    event.preventDefault();
    event.stopImmediatePropagation();
    this.hide();
  }

  hide() {
    if (!this.anchor) return;
    this.open.abort();
    this.anchor.removeAttribute("aria-describedby");
    this.anchor = null;
    if (this.node.isConnected) this.node.hidePopover();
  }
}

/** Keeps the tokens' box at its end until it is scrolled up; returns what to call after a change. */
function following(box) {
  let held = true;
  let last = 0;
  box.addEventListener("scroll", () => {
    if (box.scrollHeight - box.scrollTop - box.clientHeight < 8) held = true;
    else if (box.scrollTop < last) held = false;
    last = box.scrollTop;
  });
  const toEnd = (frames) => {
    if (held) box.scrollTop = box.scrollHeight;
    if (held && frames) requestAnimationFrame(() => toEnd(frames - 1)); // blocks that came into sight now have their true height
  };
  return () => toEnd(3);
}

function legend(list, tokens) {
  const used = new Set(tokens.map((token) => token.kind));
  const shown = Object.entries(LEGEND).filter(([kind]) => used.has(kind) || !ONLY_WHEN_USED.has(kind));
  list.replaceChildren(...shown.map(([kind, word]) => {
    const item = make("li", "", word);
    item.dataset.kind = kind;
    return item;
  }));
}

function pruned(details, data) {
  const gone = data.pruned ?? [];
  details.hidden = gone.length === 0;
  details.firstChild.textContent = `${plural(data.pruned_turns ?? 0, "turn")} pruned · ${plural(data.pruned_tokens ?? 0, "token")} not sent`;
  details.lastChild.replaceChildren(
    ...gone.map(({ role, tokens, why }) => make("li", "", `${role} · ${plural(tokens, "token")}${why ? ` — ${why}` : ""}`)),
  );
}

function describe(drawing, i) {
  const token = drawing.tokens[i];
  const pieces = drawing.pieces(i);
  const where = `position ${pieces.length > 1 ? `${pieces[0]}–${i}` : i} · ${token.kind}`;
  if (token.id === null) return [token.kind, "its tokens are not told"];
  if (pieces.length === 1) return [JSON.stringify(token.text), `id ${token.id} · ${where}${token.hex ? ` · bytes ${token.hex}` : ""}`];
  const lines = pieces.map((at) => `id ${drawing.tokens[at].id} · bytes ${drawing.tokens[at].hex}`);
  return [JSON.stringify(token.text), where, ...lines];
}

/** Draws prompts into `root`: `update(data)` with the answer of /api/anatomy. onTurn(message): a turn was chosen. */
export function mount(root, { onTurn = null, follow = true } = {}) {
  style(root);
  const kinds = make("ul", "anatomy-legend");
  const details = make("details", "anatomy-pruned");
  details.append(make("summary"), make("ul"));
  const untold = make("p", "anatomy-untold");
  untold.hidden = true;
  const group = make("div", "anatomy-tokens");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Exact prompt, token by token");
  group.tabIndex = -1;
  root.classList.add("anatomy");
  root.append(kinds, untold, details, group);
  const drawing = new Drawing(group);
  const tip = new Tip(root);
  const keepAtEnd = follow ? following(group) : () => {};
  let current = null;
  let under = null;
  let timer = 0;

  const indexOf = (target) => target instanceof Element && target.closest("[data-i]") ? Number(target.closest("[data-i]").dataset.i) : null;
  const show = (i) => tip.show(drawing.spans[i], describe(drawing, i));

  function settle(i) {
    drawing.spans[current]?.removeAttribute("tabindex");
    current = i;
    if (i !== null) drawing.spans[i].tabIndex = 0;
  }

  function go(i) {
    if (i === null) return;
    settle(i);
    drawing.spans[i].focus();
  }

  function keydown(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || current === null) return;
    const last = drawing.tokens.length - 1;
    const moves = {
      ArrowLeft: () => drawing.stop(current - 1, -1), ArrowRight: () => drawing.stop(current + 1, 1),
      ArrowUp: () => drawing.line(current, -1), ArrowDown: () => drawing.line(current, 1),
      Home: () => drawing.stop(0, 1), End: () => drawing.stop(last, -1),
    };
    if (event.key in moves) go(moves[event.key]());
    else if (event.key === "Enter") choose(drawing.spans[current]);
    else return;
    event.preventDefault();
  }

  function choose(target) {
    const i = indexOf(target);
    const message = (i === null ? null : drawing.tokens[i].message) ?? target.closest?.(".anatomy-turn")?.dataset.message;
    if (onTurn && message !== null && message !== undefined) onTurn(Number(message));
  }

  const leave = () => tip.node.matches(":hover") || tip.anchor?.matches(":hover, :focus") || tip.hide();

  /** What did not change keeps its popover, though it was drawn anew. */
  function showAgain(i, text) {
    if (i !== null && drawing.spans[i]?.textContent === text) show(i);
    else tip.hide();
  }

  const listeners = {
    keydown,
    focusin: (event) => {
      clearTimeout(timer); // the focus says more than a pointer that rests
      if (event.target !== group) show(indexOf(event.target));
      else if (!group.matches(":active")) go(current);
    },
    focusout: () => tip.hide(),
    pointerdown: (event) => indexOf(event.target) !== null && settle(indexOf(event.target)), // the press then focuses it
    pointermove: (event) => { // not pointerover, which comes also when the text moves under a pointer that rests
      const i = indexOf(event.target);
      if (i === under) return;
      under = i;
      clearTimeout(timer);
      if (i === null) timer = setTimeout(leave, LEAVE_MS);
      else if (tip.anchor !== drawing.spans[i]) timer = setTimeout(() => drawing.spans[i]?.isConnected && show(i), HOVER_MS);
    },
    pointerout: (event) => {
      if (group.contains(event.relatedTarget)) return; // to another token, or the same one was drawn anew
      under = null;
      clearTimeout(timer);
      timer = setTimeout(leave, LEAVE_MS);
    },
    click: (event) => {
      if (getSelection().isCollapsed) choose(event.target);
    },
  };
  for (const [name, listener] of Object.entries(listeners)) group.addEventListener(name, listener);

  return {
    update(data) {
      if (!data?.segments) return;
      const focused = group.matches(":focus-within") ? current : null;
      const shown = tip.anchor && [indexOf(tip.anchor), tip.anchor.textContent];
      drawing.update(flatten(data.segments));
      showAgain(...(shown ?? [null]));
      legend(kinds, drawing.tokens);
      untold.hidden = !data.untold;
      untold.textContent = data.untold ?? "";
      pruned(details, data);
      keepAtEnd();
      settle(drawing.stop(0, 1));
      if (focused !== null) go(drawing.stop(Math.min(focused, drawing.tokens.length - 1), -1));
    },
    destroy() {
      clearTimeout(timer);
      tip.hide();
      root.classList.remove("anatomy");
      for (const node of [kinds, untold, details, group, tip.node]) node.remove();
    },
  };
}

export default {
  render({ model, el }) {
    el.dataset.lmSuppressShortcuts = ""; // or arrows would move JupyterLab's selection
    const view = mount(el, { follow: false });
    const draw = () => view.update(model.get("data"));
    model.on("change:data", draw);
    draw();
    return () => {
      model.off("change:data", draw);
      view.destroy();
    };
  },
};
