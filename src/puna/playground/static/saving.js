/** The session that is open: its address, its file, its draft, and what the other tabs are told of it. */

import { get, local, put } from "./api.js";
import * as budget from "./budget.js";
import * as chat from "./chat.js";
import { banner, clearBanner, running, stop } from "./run.js";
import { defaults, emptySession, store } from "./store.js";

const SAVE = 1000; // milliseconds between a change and its saving
const CONTENT = ["nodes", "raw", "system", "context", "examples", "title", "only", "policy", "params", "leaf", "draft", "mode"];

const dispatch = store.dispatch;
const draftKey = (id) => `puna.draft.${id}`;

let saveTimer = 0;
let saving = Promise.resolve();
let unsaved = false; // since the server was away, or wanted a token
const channel = new BroadcastChannel("puna");

/** Opens the session that the address names, and saves from then on what changes. */
export async function begin() {
  await openNamed();
  watchChanges();
  window.addEventListener("hashchange", openNamed);
}

function watchChanges() {
  store.subscribe((state, previous, action) => {
    if (action.type === "load" || action.type === "fresh") return moved(previous, state);
    if (CONTENT.every((name) => state.session[name] === previous.session[name]) || action.type === "info") return undefined;
    if (state.session.draft !== previous.session.draft) keepDraft(state.session);
    return saveSoon(state.session);
  });
  document.addEventListener("visibilitychange", () => document.hidden && leave());
  window.addEventListener("pagehide", leave);
  channel.addEventListener("message", ({ data }) => data.id === store.get().session.id && changedElsewhere(data));
}

function leave() {
  chat.checkpoint();
  flush(true);
}

function keepDraft({ id, draft }) {
  // Where it cannot be kept, no older one may be restored over what the server has a second later.
  if (!local.set(draftKey(id), draft || null)) local.set(draftKey(id), null);
}

/** What was typed and neither sent nor saved, as when the browser crashed. */
function restoreDraft({ id, draft }) {
  const kept = local.get(draftKey(id));
  if (kept && kept !== draft) dispatch({ type: "set", patch: { draft: kept } });
}

function saveSoon({ id }) {
  const hash = `#s=${id}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
  clearTimeout(saveTimer);
  saveTimer = setTimeout(flush, SAVE);
}

/** Saves now what waits to be saved. */
function flush(leaving = false) {
  if (!saveTimer) return;
  clearTimeout(saveTimer);
  saveTimer = 0;
  save(store.get().session, leaving === true);
}

const gone = new Set(); // sessions that were deleted, and must not come back by a save that was under way
const drops = new Map(); // session -> how often what was to be saved of it was given up
const dropsOf = (id) => drops.get(id) ?? 0;

function unschedule() {
  clearTimeout(saveTimer);
  saveTimer = 0;
}

/** Gives up what of a session waits to be saved. */
function drop(id) {
  drops.set(id, dropsOf(id) + 1);
  if (id === store.get().session.id) unschedule();
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Ends the run that is on; when this resolves, what had come of it is in the session. */
async function ended() {
  const end = performance.now() + SAVE;
  for (stop(); running() && performance.now() < end; ) await pause(10);
  await pause(0);
}

/** When this resolves, all that could be saved is saved. */
export async function settled() {
  flush();
  await saving;
}

/** Before a session is deleted: nothing of it is under way, and nothing will be saved. */
export async function forget(id) {
  gone.add(id);
  if (id === store.get().session.id) {
    if (running()) await ended();
    unschedule();
  }
  await saving;
}

/** What became of it: "deleted", as the other tabs hear; "back", after Undo; "kept", where it could not be deleted. */
export function recall(id, what) {
  if (what !== "deleted") gone.delete(id);
  if (what === "deleted") local.set(draftKey(id), null);
  if (what !== "kept") channel.postMessage({ id, deleted: what === "deleted" });
  else if (id === store.get().session.id) saveSoon({ id });
}

/** One save after the other, so that each has the revision that the one before it made. */
function save(session, keepalive) {
  const before = dropsOf(session.id);
  const dropped = () => before !== dropsOf(session.id);
  saving = saving.then(async () => {
    if (gone.has(session.id) || dropped()) return;
    const now = store.get().session;
    const revision = now.id === session.id ? now.revision : session.revision;
    try {
      const saved = await put(`/api/sessions/${session.id}`, { ...session, revision }, keepalive);
      if (store.get().session.id === session.id && !dropped()) dispatch({ type: "set", patch: { revision: saved.revision } });
      if (saved.overwrote) banner("notice", "Another tab had changed this session too; what this tab shows has been saved over it.");
      channel.postMessage({ id: session.id });
    } catch (error) {
      unsaved ||= error.code === "offline" || error.status === 401;
      if (error.code !== "offline") banner("error", `This session is not saved: ${error.message}`);
    }
  });
}

function changedElsewhere({ id, deleted }) {
  if (deleted) drop(id);
  if (deleted) return banner("notice", "This session was deleted in another tab. What this tab shows is saved again when you change it.");
  return banner("notice", "This session has been changed in another tab.", { label: "Load it", run: () => open(id) });
}

/** To another session: the one that is left is saved first. To the same one, loaded again: what was there is given up. */
function moved(previous, { session }) {
  if (running()) stop();
  if (previous.session.id === session.id) drop(session.id);
  else if (saveTimer) save(previous.session, false);
  unschedule();
  gone.delete(session.id); // it may have been deleted here and saved again by another tab
  restoreDraft(session);
  history.replaceState(null, "", session.nodes.length || session.revision ? `#s=${session.id}` : location.pathname);
  clearBanner("notice");
}

/** The server answers again, or the person has signed in. */
export function backAgain() {
  budget.schedule();
  openNamed();
  if (unsaved) saveSoon(store.get().session);
  unsaved = false;
}

const idInUrl = () => /^#s=([a-z0-9-]{1,64})$/.exec(location.hash)?.[1];

/** Opens a session as the server has it; what was there of it is given up, an answer that streams included. */
async function open(id) {
  const again = id === store.get().session.id;
  if (again && running()) await ended();
  if (again) drop(id);
  await saving; // or what is got could be older than what is saved a moment later
  try {
    dispatch({ type: "load", session: await get(`/api/sessions/${id}`) });
  } catch (error) {
    if (again && error.status === 404) return changedElsewhere({ id, deleted: true });
    if (again) saveSoon({ id });
    if (error.code === "offline") return undefined; // tried again when it is back; an empty one would be saved over it
    if (error.status !== 404) return banner("error", error.message);
    dispatch({ type: "load", session: { ...emptySession(defaults(store.get().info)), id } });
  }
  restoreDraft(store.get().session);
  return undefined;
}

/** Opens the session that the address names, unless it is open. */
async function openNamed() {
  const id = idInUrl();
  if (id && id !== store.get().session.id) await open(id);
}
