/** Finds the places of a text that belong to sources, and signs them so that they survive a Markdown parser.
 *
 * A marker `[[1]](url)` and each end of a span become a short run of signs that mean nothing in Markdown and that
 * the text does not have. The signs are punctuation, as the brackets were, so emphasis around them stays the same.
 */

import type { Citation } from "./result.js";
import { webAddress } from "./links.js";

/** A marker in the text; `source` is the number of the source that it names, undefined where there is none. */
export interface Mark {
  readonly text: string;
  readonly number: number;
  readonly url: string;
  readonly source: number | undefined;
}

/** A part of a signed text: text, a marker, or the sources whose spans cover what follows. */
export type Piece = string | Mark | readonly number[];

interface Found extends Mark {
  readonly start: number;
  readonly end: number;
}

const SIGNS = "\ua8ce\ua8cf\ua92e\ua92f\ua95f\uaade\uaadf\uabeb\u1b5a\u1b5b\u1b5c\u1c3b\u1c3c\u1c3d\u1c7e\u1c7f";
const LONGEST_URL = 2048;
const MANY_SPANS = 3000;
const MANY_MARKS = 2000;
/** What can begin a block of Markdown: a sign in front of it would change what the line is. */
const BEGINS_BLOCK = /[\s>#*+\-|:~`=0-9.)]/;

export class Marked {
  /** The text with signs. */
  readonly text: string;
  #marks: readonly Found[] = [];
  #covered: (readonly number[])[] = [];
  #sign: RegExp | undefined;

  constructor(text: string, citations: readonly Citation[]) {
    const [mark, edge, end] = [...SIGNS].filter((sign) => !text.includes(sign));
    if (!mark || !edge || !end) {
      this.text = text;
      return;
    }
    this.#sign = new RegExp(`([${mark}${edge}])(\\d+)${end}`);
    this.#marks = markersIn(text, citations);
    const edges = this.#edges(text, citations);
    const parts: string[] = [];
    let at = 0;
    let next = 0;
    const signEdges = (until: number): void => {
      for (let position = edges[next]; position !== undefined && position <= until; position = edges[++next]) {
        parts.push(text.slice(at, position), `${edge}${next}${end}`);
        at = position;
      }
    };
    this.#marks.forEach((found, number) => {
      signEdges(found.start);
      parts.push(text.slice(at, found.start), `${mark}${number}${end}`);
      at = found.end;
    });
    signEdges(text.length);
    this.text = parts.join("") + text.slice(at);
  }

  /** The parts of a piece of the signed text. */
  pieces(signed: string): Piece[] {
    if (!this.#sign) return [signed];
    const parts = signed.split(this.#sign); // text, sign, number, text, …
    const pieces: Piece[] = [];
    for (let at = 0; at < parts.length; at += 3) {
      if (parts[at]) pieces.push(parts[at]!);
      const number = Number(parts[at + 2]);
      if (at + 2 < parts.length) {
        const isMark = this.#isMark(parts[at + 1]!);
        const piece = isMark ? this.#marks[number] : this.#covered[number];
        if (piece) pieces.push(piece);
      }
    }
    return pieces;
  }

  /** A piece of the signed text as it was. */
  plain(signed: string): string {
    return this.pieces(signed)
      .map((piece) => (typeof piece === "string" ? piece : "text" in piece ? piece.text : ""))
      .join("");
  }

  #isMark(sign: string): boolean {
    return this.#sign!.source.startsWith(`([${sign}`);
  }

  /** Where the covering sources change, in UTF-16 units and in order; `#covered` has them from there on. */
  #edges(text: string, citations: readonly Citation[]): number[] {
    const spans = citations
      .flatMap((citation) => citation.spans.map(([start, end]) => [start, end, citation.index] as const))
      .filter(([start, end]) => start < end)
      .slice(0, MANY_SPANS);
    const units = unitsOf(text, spans.flatMap(([start, end]) => [start, end]));
    const changes = new Map<number, [open: number[], close: number[]]>();
    const at = (position: number): [number[], number[]] => {
      let change = changes.get(position);
      if (!change) changes.set(position, (change = [[], []]));
      return change;
    };
    for (const [first, last, source] of spans) {
      let start = units.get(first);
      let end = units.get(last);
      if (start === undefined || end === undefined) continue; // outside of the text
      const inside = this.#marks.find((mark) => mark.start <= start! && end! <= mark.end);
      if (inside) continue; // the marker itself lights up
      start = outOf(this.#marks, start, "end");
      end = outOf(this.#marks, end, "start");
      const line = text.lastIndexOf("\n", start - 1) + 1;
      if ([...text.slice(line, start).slice(0, 80)].every((unit) => BEGINS_BLOCK.test(unit))) {
        while (start < end && BEGINS_BLOCK.test(text[start]!)) start += 1;
      }
      while (end > start && /\s/.test(text[end - 1]!)) end -= 1;
      if (start >= end) continue;
      at(start)[0].push(source);
      at(end)[1].push(source);
    }
    const positions = [...changes.keys()].sort((one, other) => one - other);
    const open = new Map<number, number>();
    for (const position of positions) {
      const [opened, closed] = changes.get(position)!;
      for (const source of opened) open.set(source, (open.get(source) ?? 0) + 1);
      for (const source of closed) {
        const left = (open.get(source) ?? 1) - 1;
        if (left) open.set(source, left);
        else open.delete(source);
      }
      this.#covered.push([...open.keys()].slice(0, 8));
    }
    return positions;
  }
}

function outOf(marks: readonly Found[], position: number, side: "start" | "end"): number {
  const mark = marks.find((one) => one.start < position && position < one.end);
  return mark ? mark[side] : position;
}

/** Offsets in code points as offsets in UTF-16 units, in one pass. */
function unitsOf(text: string, offsets: readonly number[]): Map<number, number> {
  const wanted = new Set(offsets);
  const units = new Map<number, number>();
  let point = 0;
  let unit = 0;
  for (const character of text) {
    if (wanted.has(point)) units.set(point, unit);
    point += 1;
    unit += character.length;
  }
  if (wanted.has(point)) units.set(point, unit);
  return units;
}

/** The markers in order: `[[1]](url)`, and `[1](url)` where that is the address of a source. */
function markersIn(text: string, citations: readonly Citation[]): Found[] {
  const numbers = new Map<string, number>();
  for (const { index, url } of citations) {
    const href = webAddress(url)?.href ?? url;
    if (!numbers.has(href)) numbers.set(href, index);
  }
  const urls = new Map(citations.map(({ index, url }) => [index, webAddress(url)?.href ?? url]));
  const found: Found[] = [];
  for (let start = text.indexOf("["); start >= 0 && found.length < MANY_MARKS; start = text.indexOf("[", start + 1)) {
    const double = text[start + 1] === "[";
    const head = /^\[\[?(\d{1,4})\]\]?\(/.exec(text.slice(start, start + 10));
    if (!head || double !== head[0].includes("]]")) continue;
    const from = start + head[0].length;
    const until = endOfAddress(text, from);
    if (until === undefined) continue;
    const url = text.slice(from, until);
    const number = Number(head[1]);
    const href = webAddress(url)?.href ?? url;
    const source = urls.get(number) === href ? number : numbers.get(href);
    if (!double && source === undefined) continue; // a link whose text is a number
    found.push({ start, end: until + 1, text: text.slice(start, until + 1), number, url, source });
    start = until;
  }
  return found;
}

/** Where the parenthesis that an address stands in is closed. */
function endOfAddress(text: string, from: number): number | undefined {
  let depth = 0;
  for (let at = from; at < text.length && at - from < LONGEST_URL; at += 1) {
    const unit = text[at]!;
    if (unit <= " " || unit === "[") return undefined;
    if (unit === "(") depth += 1;
    else if (unit === ")" && depth-- === 0) return at > from ? at : undefined;
  }
  return undefined;
}
