// Waiting: for a moment, until the view is left, between two tries.

const LONGEST_MS = 10_000;

/** Resolves after a time, or at once when the signal is aborted. */
export function moment(ms, signal) {
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

/** How long to wait before the n-th further try, from 0. */
export function backoff(n) {
  return Math.min(LONGEST_MS, 1000 * 2 ** n);
}

/** Do something again and again while the view is there and seen; less often while it fails. `failed` is told why. */
export async function repeat(everyMs, signal, task, failed) {
  for (let failures = 0; !signal.aborted; ) {
    if (!document.hidden) {
      try {
        await task();
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (failed(error) === "stop") return;
        failures += 1;
      }
    }
    await moment(failures ? backoff(failures - 1) : everyMs, signal);
  }
}

/** Do something until it has been done once. */
export function once(signal, task, failed) {
  const over = new AbortController();
  signal.addEventListener("abort", () => over.abort());
  repeat(0, over.signal, async () => (await task(), over.abort()), failed);
}
