// A run's server-sent events, read by fetch: an EventSource cannot bear a token.

import { LostError, open } from "./api.js";
import * as connection from "./connection.js";
import { backoff, moment } from "./patience.js";

const SILENT_MS = 40_000; // the controller gives a sign of life every 15 s

/**
 * Tell `heard(event, data)` what comes, to the run's end. Cut off, it goes on from the last event; `begun` is called
 * when all is told from the beginning. Problem for what another try would not mend.
 */
export async function follow(runId, { signal, begun, heard }) {
  let last = "";
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      const stream = await opened(runId, last, signal);
      if (last === "") begun();
      for await (const event of stream) {
        failures = -1;
        if (event.id) last = event.id;
        heard(event.event, JSON.parse(event.data));
        if (event.event === "end") return;
      }
      if (!signal.aborted) connection.lost();
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 422 && last) last = "";
      else if (error.status < 500) throw error;
      else if (!(error instanceof LostError) && !error.status) connection.lost();
    }
    await moment(backoff(Math.max(0, failures)), signal);
  }
}

async function opened(runId, last, signal) {
  const cut = new AbortController();
  signal.addEventListener("abort", () => cut.abort(), { signal: cut.signal });
  const headers = last ? { "Last-Event-ID": last } : {};
  const answer = await open(`/runs/${encodeURIComponent(runId)}/events`, { headers, signal: cut.signal });
  return eventsIn(answer.body, cut);
}

async function* eventsIn(body, cut) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const silence = setTimeout(() => cut.abort(), SILENT_MS);
    const { value, done } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const event = parsed(part);
      if (event.data !== undefined) yield event;
    }
  }
}

/** The fields of one event. */
export function parsed(part) {
  const fields = {};
  for (const line of part.split("\n")) {
    const [, name, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
    if (name) fields[name] = value;
  }
  return fields;
}
