/** What belongs together lights up together: a source, its markers and the text that its spans cover.
 *
 * A pointer or the focus lights for as long as it stays; a press keeps the light until Escape or the next one.
 */

import { button, h } from "./dom.js";
import type { Mark } from "./marks.js";
import { webAddress, hostOf } from "./links.js";
import type { Places } from "./markdown.js";
import type { Citation } from "./result.js";

export class Lighting implements Places {
  #elements = new Map<number, Element[]>();
  #sourcesOf = new WeakMap<Element, readonly number[]>();
  #places = new Map<number, HTMLElement[]>();
  #next = new Map<number, number>();
  #kept: readonly number[] = [];
  #lit: Element[] = [];
  #citations: ReadonlyMap<number, Citation>;
  #back: HTMLElement | undefined;

  constructor(
    citations: readonly Citation[],
    readonly show: (source: number) => HTMLElement | undefined,
  ) {
    this.#citations = new Map(citations.map((citation) => [citation.index, citation]));
  }

  /** An element that lights up with these sources. */
  register(element: Element, sources: readonly number[]): void {
    this.#sourcesOf.set(element, sources);
    for (const source of sources) {
      const all = this.#elements.get(source);
      if (all) all.push(element);
      else this.#elements.set(source, [element]);
    }
  }

  /** The button that stands for a marker, as in the text; dim where no source belongs to it. */
  mark(mark: Mark): HTMLElement {
    if (mark.source === undefined) {
      const label = `Marker ${mark.number}, without a source`;
      return h("span", { class: "marker lost", role: "note", "aria-label": label, title: label }, `${mark.number}`);
    }
    const element = this.marker(mark.source);
    this.#place(mark.source, element);
    return element;
  }

  /** A button that leads to a source. */
  marker(source: number): HTMLButtonElement {
    const citation = this.#citations.get(source);
    const url = citation && webAddress(citation.url);
    const name = [citation?.title, url && hostOf(url)].filter(Boolean).join(", ").slice(0, 200);
    const element = button(`${source}`, { class: "marker", "aria-label": `Source ${source}: ${name}` }, () => {
      this.#keep([source]);
      this.#back = element;
      const shown = this.show(source);
      shown?.focus({ preventScroll: true });
      shown?.scrollIntoView({ block: "nearest" });
    });
    this.register(element, [source]);
    return element;
  }

  /** Text that spans of sources cover. */
  cited(sources: readonly number[], text: Node): HTMLElement {
    const element = h("span", { class: "cited" });
    element.append(text);
    this.register(element, sources);
    for (const source of sources) this.#place(source, element);
    return element;
  }

  /** How often a source is in the text. */
  count(source: number): number {
    return this.#places.get(source)?.length ?? 0;
  }

  /** Go to the next place in the text that belongs to a source. */
  visit(source: number, from: HTMLElement): void {
    const places = this.#places.get(source) ?? [];
    const next = this.#next.get(source) ?? 0;
    const place = places[next % places.length];
    this.#next.set(source, next + 1);
    this.#keep([source]);
    this.#back = from;
    if (place && !place.matches("button")) place.setAttribute("tabindex", "-1");
    place?.focus({ preventScroll: true });
    place?.scrollIntoView({ block: "nearest" });
  }

  /** Put the light out; true where there was some. The focus goes back to where it came from. */
  release(): boolean {
    if (!this.#kept.length) return false;
    this.#keep([]);
    this.#back?.focus();
    this.#back = undefined;
    return true;
  }

  /** Follow pointer and focus within an element. */
  watch(root: HTMLElement): void {
    const lightFor = (event: Event): void => this.#light(this.#under(event.target, root) ?? this.#kept);
    root.addEventListener("pointerover", lightFor);
    root.addEventListener("pointerleave", () => this.#light(this.#kept));
    root.addEventListener("focusin", lightFor);
    root.addEventListener("focusout", () => this.#light(this.#kept));
  }

  #place(source: number, element: HTMLElement): void {
    const places = this.#places.get(source);
    if (places) places.push(element);
    else this.#places.set(source, [element]);
  }

  #under(target: EventTarget | null, root: HTMLElement): readonly number[] | undefined {
    for (let at = target instanceof Element ? target : null; at && at !== root; at = at.parentElement) {
      const sources = this.#sourcesOf.get(at);
      if (sources) return sources;
    }
    return undefined;
  }

  #keep(sources: readonly number[]): void {
    this.#kept = sources;
    this.#light(sources);
  }

  #light(sources: readonly number[]): void {
    for (const element of this.#lit) element.classList.remove("lit");
    this.#lit = sources.flatMap((source) => this.#elements.get(source) ?? []);
    for (const element of this.#lit) element.classList.add("lit");
  }
}
