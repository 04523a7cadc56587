// Windows of slots as they are streamed, merged in pairs when there are too many to draw.

/**
 * Windows {phase, first, last, ...} in order of slots. `merge(into, from)` adds what `from` holds, except its bounds.
 * A window is merged with its neighbour in the same phase only.
 */
export class Windows {
  constructor(max, merge) {
    this.max = max;
    this.mergeContents = merge;
    this.clear();
  }

  /** Forget all windows. */
  clear() {
    this.all = [];
    this.size = 1; // streamed windows per window kept
  }

  get last() {
    return this.all.at(-1);
  }

  /** Add a window. One within a window that is there already is added to that one. */
  add(window) {
    const known = this.all.findLast(({ first }) => first <= window.first);
    if (known && window.first <= known.last) return this.merge(known, window, 0);
    if (known && known === this.last && this.fits(known, window)) return this.merge(known, window, 1);
    this.all.splice(known ? this.all.indexOf(known) + 1 : 0, 0, { ...window, size: 1 });
    if (this.all.length > this.max) this.halve();
  }

  fits(window, next) {
    return window.size < this.size && window.phase === next.phase;
  }

  merge(into, from, size) {
    this.mergeContents(into, from);
    into.last = Math.max(into.last, from.last);
    into.size += size;
  }

  halve() {
    this.size *= 2;
    const windows = this.all;
    this.all = [];
    for (const window of windows) {
      if (this.last && this.fits(this.last, window)) this.merge(this.last, window, window.size);
      else this.all.push(window);
    }
  }
}
