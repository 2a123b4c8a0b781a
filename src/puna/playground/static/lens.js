/** The sampler lens: what the sampling settings make of the candidates at one position. Pure arithmetic, no request, no imports. */

const CSS = `
.lens {
  --ln-ink: var(--ink, light-dark(#1a1d23, #e6e8ec)); --ln-dim: var(--dim, light-dark(#565e6b, #a2abb9));
  --ln-line: var(--line, light-dark(#d7dbe2, #343a44)); --ln-accent: var(--accent, light-dark(#2f4bc7, #91a7ff));
  color: var(--ln-ink); font-size: 12px; line-height: 1.5;
}
[data-jp-theme-light="true"] .lens, .vscode-light .lens { color-scheme: light; }
[data-jp-theme-light="false"] .lens, .vscode-dark .lens { color-scheme: dark; }
.lens p { margin: 4px 0; color: var(--ln-dim); }
.lens table { width: 100%; border-collapse: collapse; table-layout: fixed; font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.lens caption { text-align: left; padding: 4px 0; overflow-wrap: anywhere; white-space: pre-wrap; }
.lens th, .lens td { padding: 2px 4px; text-align: right; font-weight: 400; vertical-align: middle; border-bottom: 1px solid var(--ln-line); }
.lens thead th { color: var(--ln-dim); }
.lens tr > :first-child { width: 34%; padding-left: 0; text-align: left; overflow-wrap: anywhere; white-space: pre-wrap; }
.lens tr > :nth-child(4) { width: 22%; padding-right: 0; text-align: left; }
.lens [data-chosen] > th { font-weight: 700; }
.lens [data-cut] > th, .lens [data-cut] > td:nth-child(2) { color: var(--ln-dim); text-decoration: line-through; }
.lens-bar { display: block; height: 7px; min-width: 1px; background: var(--ln-accent); forced-color-adjust: none; }
@media (forced-colors: active) { .lens-bar { background: CanvasText; } }
.lens-why { color: var(--ln-dim); }
`;

const WORDS = { temperature: "greedy", top_k: "top-k", top_p: "top-p", min_p: "min-p" };

let sheet = null;

function style(root) {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  const tree = root.getRootNode();
  const home = tree.adoptedStyleSheets ? tree : document;
  if (!home.adoptedStyleSheets.includes(sheet)) home.adoptedStyleSheets = [...home.adoptedStyleSheets, sheet];
}

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/**
 * The candidates under the settings, and the rest of the vocabulary as one row.
 * The rest is reckoned as tokens that are each as probable as the last one told, which is the most concentrated that it can be:
 * exact without rescaling and wherever a cut leaves it out, else a bound.
 */
function sampled(top, { temperature = 1, top_k = 0, top_p = 1, min_p = 0 }) {
  const told = top.filter(([, , lp]) => typeof lp === "number").sort((a, b) => b[2] - a[2]); // filter made a copy
  const rows = told.map(([id, t, lp]) => ({ id, t, before: Math.exp(lp), after: 0, cut: null }));
  const before = Math.max(0, 1 - rows.reduce((sum, row) => sum + row.before, 0));
  if (!rows.length) return { rows, others: { before, after: before, exact: true } };
  if (temperature <= 0) {
    for (const row of rows) row.cut = "temperature";
    Object.assign(rows[0], { after: 1, cut: null });
    return { rows, others: { before, after: 0, exact: true } };
  }
  const scaled = rows.map((row) => (row.before / rows[0].before) ** (1 / temperature));
  const least = scaled.at(-1);
  let rest = (before / Math.max(rows.at(-1).before, Number.MIN_VALUE)) * least;
  let exact = before < 1e-6 || (temperature === 1 && top_k === 0);
  const cut = (from, why) => {
    for (const row of rows.slice(from)) row.cut ??= why;
    if (from < rows.length) rest = 0;
  };
  if (top_k > 0) {
    rest = Math.min(rest, Math.max(0, top_k - rows.length) * least);
    cut(top_k, "top_k");
    exact ||= rest === 0;
  }
  if (top_p < 1) {
    const kept = nucleus(rows, scaled, rest, top_p);
    cut(kept.length, "top_p");
    exact &&= kept.reached;
    rest = Math.min(rest, kept.beyond);
  }
  const weak = scaled.findIndex((weight) => weight < min_p);
  if (weak >= 0) cut(weak, "min_p");
  if (top_p >= 1 && weak >= 0) exact = true;
  if (weak < 0 && min_p > 0 && rest > 0) exact = false;
  const total = rows.reduce((sum, row, i) => sum + (row.cut ? 0 : scaled[i]), rest);
  rows.forEach((row, i) => { row.after = row.cut ? 0 : scaled[i] / total; });
  return { rows, others: { before, after: rest / total, exact } };
}

/** The smallest set with probability top_p: how many of the candidates, and the weight that it needs beyond them. */
function nucleus(rows, scaled, rest, top_p) {
  const kept = rows.findIndex((row) => row.cut);
  const length = kept < 0 ? rows.length : kept;
  const wanted = top_p * scaled.slice(0, length).reduce((sum, weight) => sum + weight, rest);
  let sum = 0;
  for (let i = 0; i < length; i += 1) {
    sum += scaled[i];
    if (sum >= wanted) return { length: i + 1, beyond: 0, reached: true };
  }
  return { length: rows.length, beyond: wanted - sum, reached: rest === 0 };
}

/** Candidates [[id, t, lp]...] under sampling settings: [{id, t, before, after, cut}], in falling probability. */
export function lens(top, params) {
  return sampled(top, params).rows;
}

/** Where no ids are told, the chosen one is known by its text. */
const isChosen = (row, token) => row.id === token.id && (row.id !== null || row.t === token.t);
const percent = (p) => `${(100 * p).toFixed(1)} %`;

function line(name, { before, after, cut }, about) {
  const row = make("tr");
  const title = make("th", "", name);
  title.scope = "row";
  const bar = make("td");
  if (cut) bar.append(make("span", "lens-why", `cut: ${WORDS[cut]}`));
  else {
    bar.append(make("span", "lens-bar"));
    bar.firstChild.style.setProperty("width", `${100 * after}%`);
  }
  if (cut) row.dataset.cut = cut;
  row.append(title, make("td", "", percent(before)), make("td", "", cut ? "–" : `${about}${percent(after)}`), bar);
  return row;
}

function table(token, params) {
  const { rows, others } = sampled(token.top, params);
  const drawn = make("table");
  const head = make("tr");
  for (const name of ["token", "model", "sampled", ""]) {
    const cell = make(name ? "th" : "td", "", name);
    if (name) cell.scope = "col";
    head.append(cell);
  }
  const header = make("thead");
  header.append(head);
  const body = make("tbody");
  const about = others.exact ? "" : "≈ ";
  const names = new Set(token.top.filter(([, , , control]) => control).map(([id]) => id)); // a control token's text is its name
  for (const row of rows) {
    const one = line(names.has(row.id) ? row.t : JSON.stringify(row.t), row, about);
    if (isChosen(row, token)) one.dataset.chosen = "";
    body.append(one);
  }
  const gone = others.after === 0 && others.before > 0 ? rows.findLast((row) => row.cut)?.cut ?? "top_k" : null;
  body.append(line("others", { ...others, cut: gone }, about));
  const among = rows.some((row) => isChosen(row, token)) ? "" : ", which is among the others";
  drawn.append(make("caption", "", `Chosen: ${JSON.stringify(token.t)}${among}`), header, body);
  return others.exact ? [drawn] : [drawn, make("p", "", "≈: how the settings change the others together is not known; they are reckoned as each as probable as the last one shown.")];
}

/** The lens in `root`. get(): the token record to begin with; params: the sampling settings as they are shown. */
export function mount(root, { get = () => null, params = {} } = {}) {
  style(root);
  root.classList.add("lens");
  let token = get() ?? null;
  let settings = params;
  const draw = () => {
    if (token?.top?.length) root.replaceChildren(...table(token, settings));
    else root.replaceChildren(make("p", "", token ? "No alternatives are known for this token." : "Choose a token of a reply: its candidates are shown here as the settings change them."));
  };
  draw();
  return {
    show(tok) {
      token = tok;
      draw();
    },
    setParams(changed) {
      settings = changed;
      draw();
    },
    destroy() {
      root.classList.remove("lens");
      root.replaceChildren();
    },
  };
}
