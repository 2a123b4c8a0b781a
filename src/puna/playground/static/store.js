/**
 * State of the page: one immutable value, one reducer, and those who listen.
 * Knows neither the document nor the network.
 */

/** Records of live replies with their alternatives: node id -> [{i, id, t, lp, top, bytes?}]. Never saved: too large. */
export const live = new Map();

/** A name for a session, unlike any other: day and 40 random bits. */
export function newId() {
  const day = new Date().toISOString().slice(0, 10).replaceAll("-", "");
  const bits = crypto.getRandomValues(new Uint8Array(5));
  return `${day}-${Array.from(bits, (b) => b.toString(16).padStart(2, "0")).join("")}`;
}

/** A session in which nothing was said, with these parameters. */
export function emptySession(params = {}) {
  return {
    v: 1, id: newId(), revision: 0, title: "", params, system: "", context: "", examples: [], only: false,
    policy: "watermark", nodes: [], leaf: null, raw: "", draft: "", mode: "chat",
  };
}

/** The parameters that /api/info calls the defaults. */
export function defaults(info) {
  const params = { stop: [] };
  for (const { name, default: value } of info?.params ?? []) params[name] = value;
  return params;
}

function branch(nodes, leaf) {
  const line = [];
  for (let at = leaf; at !== null; at = nodes[at].parent) line.unshift(nodes[at]);
  return line;
}

/** Numbers of a node and of all below it. A parent's number is below its children's, so one pass is enough. */
function below(nodes, id) {
  const found = new Set([id]);
  for (const node of nodes) if (found.has(node.parent)) found.add(node.id);
  return found;
}

const newest = (nodes, id) => Math.max(...below(nodes, id));

/** Without a node and all below it: the patch of the session, and old number -> new number of those that stay. */
function without({ nodes, leaf }, id) {
  const gone = below(nodes, id);
  const stay = nodes.filter((node) => !gone.has(node.id));
  const numbers = new Map(stay.map((node, n) => [node.id, n]));
  const renumbered = stay.map((node, n) => ({ ...node, id: n, parent: numbers.get(node.parent) ?? null }));
  const { parent, role } = nodes[id];
  const other = stay.findLast((node) => node.parent === parent && node.role === role);
  const next = !gone.has(leaf) ? leaf : other ? newest(stay, other.id) : parent;
  return { numbers, patch: { nodes: renumbered, leaf: numbers.get(next) ?? null } };
}

const initial = {
  info: null, mode: "chat", session: emptySession(), anatomy: null, anatomySeq: 0, run: null, banner: null,
  status: "", heat: true, theme: "auto", compare: { panes: [], results: [] }, lens: null, toast: null,
};

const withSession = (state, patch) => ({ ...state, session: { ...state.session, ...patch } });

function grown(session, node) {
  const id = session.nodes.length;
  return { nodes: [...session.nodes, { ...node, id }], leaf: id };
}

function ask(session, content) {
  const title = session.title || [...content.trim().split("\n", 1)[0]].slice(0, 80).join("");
  return { ...grown(session, { parent: session.leaf, role: "user", content }), title };
}

function edited(session, id, content) {
  const { parent, role } = session.nodes[id];
  return grown(session, { parent, role, content });
}

const patched = (session, id, patch) => ({
  nodes: session.nodes.map((node) => (node.id === id ? { ...node, ...patch } : node)),
});

function loaded(state, session) {
  const whole = { ...emptySession(), ...session };
  return {
    ...state, session: { ...whole, params: { ...defaults(state.info), ...whole.params } },
    mode: whole.mode, anatomy: null, lens: null, run: null, compare: { panes: [], results: [] },
  };
}

const handlers = {
  info: (state, { info }) => withSession({ ...state, info }, { params: { ...defaults(info), ...state.session.params } }),
  mode: (state, { mode }) => withSession({ ...state, mode }, { mode }),
  set: (state, { patch }) => withSession(state, patch),
  params: (state, { patch }) => withSession(state, { params: { ...state.session.params, ...patch } }),
  ask: (state, { content }) => withSession(state, ask(state.session, content)),
  answer: (state, { parent, node }) => withSession(state, grown(state.session, { role: "assistant", content: "", ...node, parent })),
  node: (state, { id, patch }) => withSession(state, patched(state.session, id, patch)),
  choose: (state, { id }) => withSession(state, { leaf: newest(state.session.nodes, id) }),
  edit: (state, { id, content }) => withSession(state, edited(state.session, id, content)),
  remove: (state, { id }) => withSession(state, without(state.session, id).patch),
  restore: (state, { nodes, leaf }) => withSession(state, { nodes, leaf }),
  load: (state, { session }) => loaded(state, session),
  fresh: (state) => loaded(state, emptySession(defaults(state.info))),
  anatomy: (state, { data, seq }) => (seq < state.anatomySeq ? state : { ...state, anatomy: data, anatomySeq: seq }),
  run: (state, { run }) => ({ ...state, run }),
  banner: (state, { banner }) => ({ ...state, banner }),
  status: (state, { text }) => ({ ...state, status: text }),
  heat: (state, { heat }) => ({ ...state, heat: heat ?? !state.heat }),
  theme: (state, { theme }) => ({ ...state, theme }),
  panes: (state, { panes, results }) => ({ ...state, compare: { panes: panes ?? state.compare.panes, results: results ?? state.compare.results } }),
  lens: (state, { tok }) => ({ ...state, lens: tok }),
  toast: (state, { toast }) => ({ ...state, toast }),
};

/** The state after an action; the old one is left as it is. */
export function reduce(state, action) {
  return handlers[action.type](state, action);
}

/** Keeps `live` in step with the numbers of the nodes; the reducer itself touches nothing outside. */
function moveLive(action, session) {
  if (action.type === "load" || action.type === "fresh") live.clear();
  if (action.type === "restore") replaceLive(action.live ?? new Map());
  if (action.type === "remove") {
    const { numbers } = without(session, action.id);
    replaceLive(new Map([...live].filter(([id]) => numbers.has(id)).map(([id, tokens]) => [numbers.get(id), tokens])));
  }
}

function replaceLive(kept) {
  live.clear();
  for (const [id, tokens] of kept) live.set(id, tokens);
}

let state = initial;
const listeners = new Set();

/** The one store of the page. Listeners get (state, previous, action); `subscribe` gives the function that ends it. */
export const store = {
  get: () => state,
  dispatch(action) {
    const previous = state;
    moveLive(action, previous.session);
    state = reduce(previous, action);
    if (state !== previous) for (const listener of [...listeners]) listener(state, previous, action);
  },
  subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

/** The branch that is shown: nodes from the root to the leaf. */
export function path(session) {
  return branch(session.nodes, session.leaf);
}

/** Numbers of the versions of a message, in the order in which they were made. */
export function versions(session, id) {
  const { parent, role } = session.nodes[id];
  return session.nodes.filter((node) => node.parent === parent && node.role === role).map((node) => node.id);
}

/**
 * The body that asks the server about the branch: settings as shown, messages up to `upTo` (a node id; the leaf
 * unless told), then `message` as the user's next one where it is given, even when it is empty.
 */
export function talk({ session }, { message, upTo = session.leaf } = {}) {
  const messages = branch(session.nodes, upTo).map(({ role, content }) => ({ role, content }));
  if (message !== undefined) messages.push({ role: "user", content: message });
  const examples = session.examples.filter(({ question, answer }) => question.trim() && answer.trim());
  const { system, context, only, params, policy } = session;
  return { system, context, examples, only, messages, params, policy };
}
