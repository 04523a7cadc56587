// Delays, backoff, and tasks that are repeated until the view is left.

const MAX_BACKOFF_MS = 10_000;

/** Resolves after a time, or at once when the signal is aborted. */
export function delay(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

/** The delay in ms before the n-th retry, from 0. */
export function backoff(n) {
  return Math.min(MAX_BACKOFF_MS, 1000 * 2 ** n);
}

/** Run a task repeatedly while the view is shown, with backoff while it fails. `onError` may return "stop". */
export async function poll(everyMs, signal, task, onError) {
  for (let failures = 0; !signal.aborted; ) {
    if (!document.hidden) {
      try {
        await task();
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (onError(error) === "stop") return;
        failures += 1;
      }
    }
    await delay(failures ? backoff(failures - 1) : everyMs, signal);
  }
}

/** Run a task until it has succeeded once. */
export function retry(signal, task, onError) {
  const success = new AbortController();
  signal.addEventListener("abort", () => success.abort());
  poll(0, success.signal, async () => (await task(), success.abort()), onError);
}
