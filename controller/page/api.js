// The controller's REST API: one function for all requests, with the token if there is one.

import * as connection from "./connection.js";
import { promptForToken } from "./dialog.js";

const BASE = new URL("api/v2", document.baseURI.split("#")[0]).href;
const TOKEN = "airtoll-token";
let prompt = null; // the dialog that is open, as a promise

/** A request that the controller rejected: the problem document's status, detail and errors by field. */
export class Problem extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `status ${status}`);
    this.status = status;
    this.errors = problem.errors ?? [];
  }
}

/** The controller did not answer. */
export class UnreachableError extends Error {}

/** The response's JSON; null where there is none. Throws Problem or UnreachableError. */
export async function request(path, options = {}) {
  const response = await send(path, options);
  return response.status === 204 ? null : await response.json();
}

/** The response. On status 401 the user is asked for the token, and the request is sent again with it. */
export async function send(path, { method = "GET", query = {}, body, headers = {}, signal } = {}) {
  for (let isFirst = true; ; isFirst = false) {
    const token = sessionStorage.getItem(TOKEN);
    const bearer = token ? { Authorization: `Bearer ${token}` } : {};
    const response = await fetched(address(path, query), { method, body, headers: { ...headers, ...bearer }, signal });
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    const mayRetry = response.status === 401 && (await hasNewToken(token, !isFirst || token !== null));
    if (!mayRetry) throw new Problem(response.status, problem);
  }
}

/** The URL of an API path. */
export function address(path, query = {}) {
  const url = new URL(BASE + path);
  for (const [name, values] of Object.entries(query)) {
    for (const value of [values].flat()) url.searchParams.append(name, value);
  }
  return url.href;
}

/** Whether requests carry a token. */
export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

async function fetched(url, options) {
  try {
    const response = await fetch(url, { cache: "no-store", ...options });
    connection.restored();
    return response;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    connection.lost();
    throw new UnreachableError("the controller does not answer", { cause: error });
  }
}

/** Whether there is now another token than the rejected one. Requests that fail together share one dialog. */
async function hasNewToken(rejected, wasRejected) {
  if (sessionStorage.getItem(TOKEN) !== rejected) return true;
  prompt ??= promptForToken(wasRejected).finally(() => (prompt = null));
  const token = await prompt;
  if (!token) return false;
  sessionStorage.setItem(TOKEN, token);
  return true;
}
