/** One run at a time: its state, the words of the status line and the banner, Stop, and whether the server is there. */

import { get, onReachable, records } from "./api.js";
import { byId } from "./dom.js";
import { store } from "./store.js";

const TICK = 250; // milliseconds between two status lines of a run
const RETRY = 5; // seconds between two looks for a server that does not answer
const HEARTBEAT = 5000; // milliseconds between two looks while nothing else is asked

let controller = null;

/** Whether a run is on. */
export const running = () => controller !== null;

/** Ends the run that is on; what has arrived is kept. */
export function stop() {
  controller?.abort();
}

/** Says something to those who do not see the page change. */
export function say(text) {
  byId("polite").textContent = text;
}

/** Shows a banner; kind: "error" | "offline" | "loading" | "notice". */
export function banner(kind, text, action) {
  store.dispatch({ type: "banner", banner: { kind, text, action } });
}

/** Takes the banner away, where one of these kinds is shown. */
export function clearBanner(...kinds) {
  if (kinds.includes(store.get().banner?.kind)) store.dispatch({ type: "banner", banner: null });
}

const status = (text) => store.dispatch({ type: "status", text });
const seconds = (ms) => (ms < 9950 ? (ms / 1000).toFixed(1) : String(Math.round(ms / 1000)));
const plural = (n) => `${n} token${n === 1 ? "" : "s"}`;

function words({ startedAt, firstAt, tokens }) {
  const now = performance.now();
  if (firstAt === null) return `Waiting for the first token… ${Math.floor((now - startedAt) / 1000)} s`;
  const rate = tokens / Math.max((now - firstAt) / 1000, 0.001);
  return `Streaming… ${plural(tokens)}${tokens > 1 ? ` · ${Math.round(rate)}/s` : ""}`;
}

/**
 * Runs a streamed request to its end and never throws. `onRecord` gets every record.
 * Gives {outcome: "done" | "stopped" | "failed", started, tokens, error: null | {code, message}}.
 */
export async function runRecords(kind, path, body, onRecord) {
  const mine = new AbortController();
  stop();
  controller = mine;
  const run = { kind, startedAt: performance.now(), tokens: 0, firstAt: null };
  const result = { outcome: "done", started: false, tokens: 0, error: null };
  const tick = () => {
    store.dispatch({ type: "run", run: { ...run } });
    status(words(run));
  };
  clearBanner("error", "notice");
  tick();
  const timer = setInterval(tick, TICK);
  try {
    await follow(path, body, mine.signal, (record) => note(record, run, result, onRecord));
  } catch (error) {
    result.outcome = mine.signal.aborted ? "stopped" : "failed";
    if (result.outcome === "failed") result.error = error;
  }
  clearInterval(timer);
  result.tokens = run.tokens;
  if (controller === mine) finish(result, run);
  return result;
}

function note(record, run, result, onRecord) {
  if (record.type === "start") result.started = true;
  if (record.type === "tok") {
    run.tokens += 1;
    run.firstAt ??= performance.now();
  }
  if (record.type === "error" && record.pane === undefined) {
    result.outcome = "failed";
    result.error = record;
  }
  onRecord(record);
}

/** Reads the records; a model that is still loading is waited for, until Stop. */
async function follow(path, body, signal, onRecord) {
  for (;;) {
    try {
      for await (const record of records(path, body, signal)) {
        clearBanner("loading");
        onRecord(record);
      }
      return;
    } catch (error) {
      if (error.code !== "loading") throw error;
      await countdown("loading", "The model is loading.", error.retryAfter ?? 2, signal);
    }
  }
}

function finish(result, run) {
  controller = null;
  store.dispatch({ type: "run", run: null });
  const took = `${plural(result.tokens)} in ${seconds(performance.now() - run.startedAt)} s`;
  status({ done: `Ready · ${took}`, stopped: `Stopped · ${plural(result.tokens)}`, failed: "Ready" }[result.outcome]);
  say({ done: `Reply finished, ${plural(result.tokens)}`, stopped: `Stopped, ${plural(result.tokens)}`, failed: "" }[result.outcome]);
  if (result.outcome === "stopped") clearBanner("loading");
  if (result.outcome === "failed" && result.error.code !== "offline") banner("error", sentence(result));
}

/** What went wrong and what to do about it, in words. */
function sentence({ error, tokens }) {
  const text = error.message.trim().replace(/([^.!?])$/, "$1.").replace(/^./, (first) => first.toUpperCase());
  if (tokens) return `The reply broke off after ${plural(tokens)}: ${text} What had arrived is kept${store.get().info?.continues === false ? "" : "; press Continue to go on"}.`;
  return error.retryable ? `${text} Your message is kept; press Send to try again.` : `${text} Your message is kept.`;
}

/** Counts down in the banner; ends at zero, with its button, or, by throwing, with the signal. */
function countdown(kind, text, wait, signal) {
  return new Promise((resolve, reject) => {
    let left = Math.ceil(wait);
    const end = (settle) => () => {
      clearInterval(timer);
      settle(signal?.reason);
    };
    const now = end(resolve);
    const show = () => banner(kind, `${text} Retrying in ${left} s`, { label: "Now", run: now });
    const timer = setInterval(() => (--left > 0 ? show() : now()), 1000);
    signal?.addEventListener("abort", end(reject), { once: true });
    show();
  });
}

let missing = null; // while the server does not answer: what ends the looking for it

async function look() {
  missing = new AbortController();
  const { signal } = missing;
  while (!signal.aborted) {
    await countdown("offline", "The server does not answer.", RETRY, signal).then(refreshInfo, () => {});
  }
}

/** Reads /api/info; waits, with a banner, while the model loads. Gives false where the server is not there. */
export async function refreshInfo() {
  try {
    const info = await get("/api/info");
    if (JSON.stringify(info) !== JSON.stringify(store.get().info)) store.dispatch({ type: "info", info });
    if (info.ready === false && !running()) waitForModel();
    else if (info.ready !== false) clearBanner("loading");
    return true;
  } catch (error) {
    if (error.code !== "offline") banner("error", error.message);
    return false;
  }
}

let loading = false;

async function waitForModel() {
  if (loading) return;
  loading = true;
  await countdown("loading", "The model is loading.", 2);
  loading = false;
  refreshInfo();
}

/** Begins to watch whether the server answers; `onBack` is called when it does again. */
export function watch(onBack) {
  onReachable((there) => {
    if (!there && !missing) look();
    if (there && missing) {
      missing.abort();
      missing = null;
      clearBanner("offline");
      onBack();
    }
  });
  setInterval(() => !missing && !running() && !document.hidden && refreshInfo(), HEARTBEAT);
}
