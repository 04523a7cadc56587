// The files of a run's folder, to be taken home.

import { address, ask, hasToken, open } from "./api.js";
import { fill, h } from "./element.js";
import { failure, loading, nothing } from "./notices.js";
import { bytes, moment } from "./numbers.js";
import { table } from "./table.js";

export class Files {
  constructor(run, signal) {
    this.path = `/runs/${encodeURIComponent(run.id)}/files`;
    this.signal = signal;
    this.place = h("div", {});
    this.element = h("details", { class: "card wide", ontoggle: () => this.element.open && this.refresh() }, h("summary", {}, h("h2", {}, "Files")), this.place);
  }

  async refresh() {
    fill(this.place, loading("files"));
    try {
      const { files } = await ask(this.path, { signal: this.signal });
      const rows = files.map((file) => [this.link(file.name), bytes(file.bytes), moment(file.modified)]);
      fill(this.place, files.length ? table("Files of the run's folder", [["file", ""], ["size", "number"], ["changed", ""]], rows, { hidden: true }) : nothing("No files yet."));
    } catch (error) {
      if (!this.signal.aborted) fill(this.place, failure(error));
    }
  }

  link(name) {
    const where = `${this.path}/${name.split("/").map(encodeURIComponent).join("/")}`;
    const last = name.split("/").at(-1);
    const about = { href: address(where), download: last };
    return h("a", hasToken() ? { ...about, onclick: (event) => this.fetched(event, where, last) } : about, name);
  }

  /** A link cannot bear a token: what it leads to is fetched, and then saved. */
  async fetched(event, where, name) {
    event.preventDefault();
    try {
      const answer = await open(where, { signal: this.signal });
      const url = URL.createObjectURL(await answer.blob());
      h("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      if (!this.signal.aborted) this.place.prepend(failure(error));
    }
  }
}
