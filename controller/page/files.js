// The files of a run's folder, for download.

import { address, hasToken, request, send } from "./api.js";
import { fill, h } from "./dom.js";
import { bytes, dateTime } from "./format.js";
import { failure, loading, notice } from "./notices.js";
import { table } from "./table.js";

const COLUMNS = [["file", ""], ["size", "number"], ["changed", ""]];
const URL_KEPT_MS = 60_000;

export class Files {
  constructor(run, signal) {
    this.path = `/runs/${encodeURIComponent(run.id)}/files`;
    this.signal = signal;
    this.content = h("div", {});
    const ontoggle = () => this.element.open && this.refresh();
    this.element = h("details", { class: "card wide", ontoggle }, h("summary", {}, h("h2", {}, "Files")), this.content);
  }

  async refresh() {
    fill(this.content, loading("files"));
    try {
      const { files } = await request(this.path, { signal: this.signal });
      const rows = files.map((file) => [this.link(file.name), bytes(file.bytes), dateTime(file.modified)]);
      const list = () => table("Files of the run's folder", COLUMNS, rows, { hideCaption: true });
      fill(this.content, files.length ? list() : notice("No files yet."));
    } catch (error) {
      if (!this.signal.aborted) fill(this.content, failure(error));
    }
  }

  link(name) {
    const path = `${this.path}/${name.split("/").map(encodeURIComponent).join("/")}`;
    const attributes = { href: address(path), download: name.split("/").at(-1) };
    const onclick = (event) => this.download(event, path, attributes.download);
    return h("a", hasToken() ? { ...attributes, onclick } : attributes, name);
  }

  /** A link cannot send a token: fetch the file, then save it. */
  async download(event, path, name) {
    event.preventDefault();
    try {
      const response = await send(path, { signal: this.signal });
      const url = URL.createObjectURL(await response.blob());
      h("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), URL_KEPT_MS);
    } catch (error) {
      if (!this.signal.aborted) this.content.prepend(failure(error));
    }
  }
}
