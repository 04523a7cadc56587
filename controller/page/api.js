// The controller by REST: one function that asks, with the token if there is one.

import * as connection from "./connection.js";
import { askedForToken } from "./dialog.js";

const BASE = new URL("api/v2", document.baseURI.split("#")[0]).href;
const TOKEN = "airtoll-token";
let asking = null;

/** What the controller will not do, in its own words. */
export class Problem extends Error {
  constructor(status, told) {
    super(told.detail ?? `status ${status}`);
    this.status = status;
    this.faults = told.errors ?? [];
  }
}

/** The controller did not answer. */
export class LostError extends Error {}

/** The answer as JSON; null where there is none. Problem, LostError. */
export async function ask(path, options = {}) {
  const answer = await open(path, options);
  return answer.status === 204 ? null : await answer.json();
}

/** The answer as it comes. A 401 asks for the token, and goes on with it. */
export async function open(path, { method = "GET", query = {}, body, headers = {}, signal } = {}) {
  for (let isFirst = true; ; isFirst = false) {
    const token = sessionStorage.getItem(TOKEN);
    const bearer = token ? { Authorization: `Bearer ${token}` } : {};
    const answer = await sent(address(path, query), { method, body, headers: { ...headers, ...bearer }, signal });
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    const isMend = answer.status === 401 && (await anotherToken(token, !isFirst || token !== null));
    if (!isMend) throw new Problem(answer.status, told);
  }
}

/** Where something of the API lies. */
export function address(path, query = {}) {
  const url = new URL(BASE + path);
  for (const [name, value] of Object.entries(query)) for (const one of [value].flat()) url.searchParams.append(name, one);
  return url.href;
}

/** Whether requests bear a token. */
export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

async function sent(url, options) {
  try {
    const answer = await fetch(url, { cache: "no-store", ...options });
    connection.back();
    return answer;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    connection.lost();
    throw new LostError("the controller does not answer", { cause: error });
  }
}

/** Whether there is another token now than the one that was refused; asked for once, however many wait for it. */
async function anotherToken(refused, wasRefused) {
  if (sessionStorage.getItem(TOKEN) !== refused) return true;
  asking ??= askedForToken(wasRefused).finally(() => (asking = null));
  const given = await asking;
  if (!given) return false;
  sessionStorage.setItem(TOKEN, given);
  return true;
}
