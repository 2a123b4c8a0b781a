/** The server as the page sees it: JSON, streams of records, and one kind of error for all that can go wrong. */

const TOKEN = "puna.token";
const KEEPALIVE = 60_000; // bytes; browsers refuse a larger body (64 KiB) to a request that outlives its page

/** A request that failed. status: HTTP, 0 where none came. retryAfter: seconds or null. */
export class ApiError extends Error {
  constructor(code, message, { status = 0, retryable = false, retryAfter = null } = {}) {
    super(message);
    Object.assign(this, { name: "ApiError", code, status, retryable, retryAfter });
  }
}

/** A storage of the browser that never throws: it may be forbidden or full, or hold what is no JSON. */
function safe(area) {
  const attempt = (act, otherwise) => {
    try {
      return act();
    } catch {
      return otherwise;
    }
  };
  return {
    /** The text under a name; null where there is none. */
    get: (name) => attempt(() => area().getItem(name), null),
    /** The value under a name; null where there is none that can be read. */
    json: (name) => attempt(() => JSON.parse(area().getItem(name)), null),
    /** Keeps a text, or, with null, keeps none any more; gives whether that went well. */
    set: (name, text) => attempt(() => (text === null ? area().removeItem(name) : area().setItem(name, text), true), false),
  };
}

/** What outlives the tab. */
export const local = safe(() => localStorage);
const tab = safe(() => sessionStorage);

/** Whether a header can bear this token. */
export const usable = (text) => /^[!-~]+$/.test(text ?? "");

let token = usable(tab.get(TOKEN)) ? tab.get(TOKEN) : null; // here too, where the browser keeps nothing

/** Whether requests bear a token. */
export const hasToken = () => token !== null;

let login = null;
let onReach = () => {};

let dismissed = false; // the person gave up, and is not asked again until they want to be

/** Whether the person was asked for a token and gave none. */
export const signedOut = () => dismissed;

/** From now on the next request that wants a token asks for it again. */
export function askAgain() {
  dismissed = false;
}

/** `ask(refused)` opens the dialog for the token and gives it, or null when the person gave up. refused: one was sent and was wrong. */
export function askTokenWith(ask) {
  login = ask;
}

/** `listener(true | false)` hears after every request whether the server answered at all. */
export function onReachable(listener) {
  onReach = listener;
}

const offline = () => new ApiError("offline", "The server does not answer.", { retryable: true });
const broken = () => new ApiError("broken", "The stream ended before the reply did.", { retryable: true });
const invalid = (line) => new ApiError("invalid", `The server sent a line that is no JSON: ${line.slice(0, 60)}`, { retryable: true });

/** Sends one request and gives the response; asks for a token where the server wants one, unless the person gave up. */
async function request(method, path, { body, signal, keepalive = false } = {}) {
  const sent = token;
  const headers = new Headers(body === undefined ? {} : { "Content-Type": "application/json" });
  if (sent !== null) headers.set("Authorization", `Bearer ${sent}`);
  const text = body === undefined ? undefined : JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, { method, headers, signal, keepalive: keepalive && new Blob([text]).size < KEEPALIVE, body: text });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    onReach(false);
    throw offline();
  }
  onReach(true);
  if (response.ok) return response;
  if (response.status === 401 && login && (await wantsToken(response))) {
    if (token === sent && !dismissed) await signIn(sent !== null);
    if (token !== sent && token !== null) return request(method, path, { body, signal, keepalive });
  }
  throw await refusal(response);
}

async function signIn(refused) {
  const given = await login(refused);
  dismissed = given === null;
  token = given;
  tab.set(TOKEN, given);
}

/** Whether a token would help: a page cannot sign, where that is wanted. */
async function wantsToken(response) {
  const { error = {} } = await response.clone().json().catch(() => ({}));
  return (error.wants ?? "token").includes("token");
}

async function refusal(response) {
  const { error = {} } = await response.json().catch(() => ({}));
  const words = error.message ?? `The server answered ${response.status} ${response.statusText}.`;
  const { retryable = response.status >= 500 } = error;
  const wait = Number(response.headers.get("Retry-After"));
  return new ApiError(error.code ?? "http", words, { status: response.status, retryable, retryAfter: wait || null });
}

async function answer(response) {
  return response.status === 204 ? null : response.json();
}

/** GET; JSON, or throws ApiError. */
export const get = async (path, signal) => answer(await request("GET", path, { signal }));
/** POST of JSON; JSON, or throws ApiError. */
export const post = async (path, body, signal) => answer(await request("POST", path, { body, signal }));
/** PUT of JSON; JSON, or throws ApiError. `keepalive` lets it outlive the page (64 KiB at most). */
export const put = async (path, body, keepalive) => answer(await request("PUT", path, { body, keepalive }));
/** DELETE; null, or throws ApiError. */
export const del = async (path) => answer(await request("DELETE", path));

/**
 * The records of a streamed answer, one JSON value a line. Ends by throwing "broken" where a pane got neither done nor
 * error, "invalid" on a line that is no JSON. Leaving the loop, or the signal, closes the request.
 */
export async function* records(path, body, signal) {
  const response = await request("POST", path, { body, signal });
  const open = new Set((body.panes ?? [null]).map((_, pane) => pane));
  for await (const line of lines(response.body)) {
    const record = parsed(line);
    if (record.type === "error" && body.panes && record.pane === undefined) open.clear();
    else if (record.type === "done" || record.type === "error") open.delete(record.pane ?? 0);
    yield record;
  }
  if (open.size) throw broken();
}

function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    throw invalid(line);
  }
}

/**
 * Whole lines of a byte stream; a chunk may cut a line, or a character, anywhere. Decoded here and not by a
 * TextDecoderStream: a pipe that breaks throws away what it holds, and with it the last tokens that had come.
 */
async function* lines(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const parts = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = parts.pop();
      for (const part of parts) if (part.trim()) yield part;
    }
  } catch (error) {
    throw error.name === "AbortError" ? error : broken();
  } finally {
    reader.cancel().catch(() => {});
  }
  if (rest.trim()) yield rest;
}
