/** The numbered sources, with what is known of where each came from. */

import { button, foreign, h, section } from "./dom.js";
import { many } from "./format.js";
import type { Lighting } from "./lighting.js";
import { addressLink, hostOf, link, webAddress } from "./links.js";
import type { Citation, Evidence } from "./result.js";

const FIRST = 8;
const UNSEEN = "No step of the run showed this address.";
const ONLY_MET = "The run met this page, and the text does not cite it.";
const FROM_TEXT = "Only the text names this address, not the endpoint.";
const KINDS: ReadonlyMap<string, string> = new Map([
  ["web", "Web"],
  ["x", "X"],
  ["news", "News"],
  ["rss", "RSS"],
]);

export class Sources {
  #items = new Map<number, HTMLElement>();
  #more: HTMLButtonElement | undefined;

  /** The section; undefined without sources. Call after the text is drawn: it says how often each is cited. */
  draw(citations: readonly Citation[], evidence: Evidence, lighting: Lighting): HTMLElement | undefined {
    if (!citations.length) return undefined;
    const items = citations.map((citation) => this.#item(citation, evidence, lighting));
    const rest = items.slice(FIRST);
    if (rest.length > 2) {
      for (const item of rest) item.hidden = true;
      this.#more = button(`Show all ${many(items.length, "source")}`, { class: "quiet" }, () => {
        this.#showAll();
        rest[0]?.focus();
      });
    }
    return section("sources", "Sources", h("ol", {}, ...items), this.#more);
  }

  /** The item of a source, which is shown from now on. */
  show(source: number): HTMLElement | undefined {
    const item = this.#items.get(source);
    if (item?.hidden) this.#showAll();
    return item;
  }

  #showAll(): void {
    for (const item of this.#items.values()) item.hidden = false;
    this.#more?.remove();
  }

  #item(citation: Citation, evidence: Evidence, lighting: Lighting): HTMLElement {
    const { index } = citation;
    const url = webAddress(citation.url);
    const title = foreign("span", citation.title || (url ? hostOf(url) : "Without a title"), "title");
    const places = lighting.count(index);
    const go = button(places === 1 ? "in the text" : `${places}× in the text`, { class: "quiet" }, () =>
      lighting.visit(index, go),
    );
    go.setAttribute("aria-label", `Source ${index}: go to ${many(places, "place")} in the text`);
    const item = h(
      "li",
      { class: "source", tabindex: "-1" },
      h("span", { class: "number", "aria-hidden": "true" }, `${index}`),
      h(
        "div",
        {},
        url ? link(url, { class: "to" }, title) : title,
        h(
          "p",
          { class: "facts" },
          url ? h("span", { class: "host", dir: "ltr" }, hostOf(url)) : citation.url && addressLink(citation.url),
          chip(KINDS.get(citation.source) ?? ""),
          evidence.unseen.has(index) && chip("Unseen", UNSEEN, "doubt"),
          evidence.metOnly.has(index) && chip("Only met", ONLY_MET),
          citation.fromText && chip("From the text", FROM_TEXT),
          places > 0 && go,
        ),
      ),
    );
    lighting.register(item, [index]);
    this.#items.set(index, item);
    return item;
  }
}

/** A short remark; `why` says it in full. */
function chip(label: string, why?: string, kind = ""): HTMLElement | undefined {
  if (!label) return undefined;
  const full = why && h("span", { class: "unseen" }, `: ${why}`);
  return h("span", { class: `chip ${kind}`, title: why }, label, full);
}
