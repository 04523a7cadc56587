// A run's server-sent events, read by fetch: an EventSource cannot send a token.

import { send, UnreachableError } from "./api.js";
import * as connection from "./connection.js";
import { backoff, delay } from "./polling.js";

const SILENCE_TIMEOUT_MS = 40_000; // the controller sends a comment every 15 s, even when nothing happens

/**
 * Pass a run's events to `onEvent(name, data)` until the run ends. A broken stream is resumed after the last event.
 * `onStart` is called whenever the stream begins with the run's first slot; `onEvent` returns "restart" to begin there
 * again. Throws a Problem that a retry would not solve.
 */
export async function follow(runId, { signal, onStart, onEvent }) {
  let last = "";
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      const events = await opened(runId, last, signal);
      if (last === "") onStart();
      for await (const event of events) {
        failures = -1;
        if (event.id) last = event.id;
        if (onEvent(event.event, JSON.parse(event.data)) === "restart") {
          last = "";
          break;
        }
        if (event.event === "end") return;
      }
      if (!signal.aborted && last) connection.lost();
    } catch (error) {
      if (signal.aborted) return;
      // 422: the files end before this id, because the run was rolled back to a checkpoint.
      if (error.status === 422 && last) last = "";
      else if (error.status < 500) throw error;
      else if (!(error instanceof UnreachableError) && !error.status) connection.lost();
    }
    await delay(backoff(Math.max(0, failures)), signal);
  }
}

async function opened(runId, last, signal) {
  const stream = new AbortController();
  signal.addEventListener("abort", () => stream.abort(), { signal: stream.signal });
  const headers = last ? { "Last-Event-ID": last } : {};
  const response = await send(`/runs/${encodeURIComponent(runId)}/events`, { headers, signal: stream.signal });
  return eventsIn(response.body, stream);
}

async function* eventsIn(body, stream) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const silence = setTimeout(() => stream.abort(), SILENCE_TIMEOUT_MS);
      const { value, done } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      const parts = (text + value).split("\n\n");
      text = parts.pop();
      for (const part of parts) {
        const event = parsed(part);
        if (event.data !== undefined) yield event;
      }
    }
  } finally {
    stream.abort(); // closes the connection of a reader that stops early, which else would keep its seat
  }
}

function parsed(part) {
  const fields = {};
  for (const line of part.split("\n")) {
    const [, name, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
    if (name) fields[name] = value;
  }
  return fields;
}
