/** The numbered sources, with what is known of where each came from. */

import { button, foreign, h, section } from "./dom.js";
import { many } from "./format.js";
import type { Lighting } from "./lighting.js";
import { addressLink, hostOf, link, webAddress } from "./links.js";
import type { Citation, Evidence } from "./result.js";

const FIRST = 8;
/** What the chips mean; those that occur are said below the list. */
const UNSEEN = "Unseen: the text cites this address, and no step or list of the run has shown it.";
const NOT_CITED = "Not cited: the run found this page, and the text does not cite it.";
const FROM_TEXT = "From the text: only the text names this address, not the endpoint.";
const NO_JUDGEMENT = "None of this says whether a claim is true.";
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
    const meanings = [
      citations.some(({ index }) => evidence.unseen.has(index)) && UNSEEN,
      citations.some(({ index }) => evidence.metOnly.has(index)) && NOT_CITED,
      citations.some((citation) => isFromText(citation, evidence)) && FROM_TEXT,
    ].filter(Boolean);
    if (meanings.length) meanings.push(NO_JUDGEMENT);
    const legend = meanings.map((meaning) => meaning && h("p", { class: "facts" }, meaning));
    return section("sources", "Sources", h("ol", {}, ...items), this.#more, ...legend);
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
    const times = places === 1 ? "in the text" : `${places}× in the text`;
    const go = button(times, { class: "quiet", "aria-label": `Source ${index}: ${times}, go there` }, () =>
      lighting.visit(index, go),
    );
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
          evidence.metOnly.has(index) && chip("Not cited", NOT_CITED),
          isFromText(citation, evidence) && chip("From the text", FROM_TEXT),
          places > 0 && go,
        ),
      ),
    );
    lighting.register(item, [index]);
    this.#items.set(index, item);
    return item;
  }
}

/** Where only the text names a source, and there is no doubt: the conversation named it before, or lists are missing. */
const isFromText = ({ fromText, index }: Citation, { unseen }: Evidence): boolean => fromText && !unseen.has(index);

const chip = (label: string, title?: string, kind = ""): HTMLElement | undefined =>
  label ? h("span", { class: `chip ${kind}`, title }, label) : undefined;
