/** Markdown as elements. The parser makes a tree, and this file an element for each kind that it knows:
 * whatever is HTML in the text stays text, and a picture becomes a link.
 */

import { Parser } from "commonmark";
import { h } from "./dom.js";
import { cut, visible } from "./foreign.js";
import { link, realHost, webAddress } from "./links.js";
import { Marked, type Mark, type Piece } from "./marks.js";
import type { Citation } from "./result.js";
import type Tree from "./standins/tree.js";
import { rowsOf, split, type Table } from "./tables.js";

/** What places of a text become that belong to sources. */
export interface Places {
  mark(mark: Mark): Node;
  cited(sources: readonly number[], text: Node): Node;
}

/** Above these a text is shown as it is: nobody writes so, and nothing may take long to draw. */
const LONGEST = 60_000;
const DEEPEST = 24;
const MANY_NODES = 9_000;
const MANY_LINES = 5_000;
const MANY_SPECIALS = 2_500;
const LINK_COST = 3;
const SPECIAL = /[\\`*_[\]<>&!]/g;

class TooMuch extends Error {}

/** An element with all of a text, or with its beginning where it is longer than any answer. */
export function markdown(text: string, citations: readonly Citation[], places: Places): HTMLElement {
  const all = cut(text, LONGEST);
  try {
    if (all.split("\n", MANY_LINES).length === MANY_LINES) throw new TooMuch();
    return new Builder(new Marked(all, citations), places).build();
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error;
    return h("div", { class: "plain", dir: "auto" }, visible(all));
  }
}

/** Stop where the parser would have much work: a paragraph full of special characters, or deep nesting. */
function check(text: string): void {
  let specials = 0;
  for (const line of text.split("\n")) {
    specials = line.trim() === "" ? 0 : specials + (line.match(SPECIAL)?.length ?? 0);
    const [prefix] = /^[\s>*+\-0-9.)]*/.exec(line)!;
    const depth = prefix.match(/[>*+\-.)]/g)?.length ?? 0;
    const isRule = /^[\s*_-]+$/.test(line);
    if (specials > MANY_SPECIALS || (depth > DEEPEST && !isRule)) throw new TooMuch();
  }
}

class Builder {
  #nodes = 0;
  #depth = 0;
  /** The levels of the headings above: those of an answer may leave some out, those of a page may not. */
  #headings: readonly number[] = [];
  #covering: readonly number[] = [];
  #parser = new Parser();

  constructor(
    readonly marked: Marked,
    readonly places: Places,
  ) {}

  build(): HTMLElement {
    const root = h("div", { class: "markdown" });
    for (const part of split(this.marked.text, (line) => this.marked.plain(line))) {
      if (typeof part === "string") {
        check(part);
        this.#blocks(this.#parser.parse(part), root);
      } else root.append(this.#table(part));
    }
    return root;
  }

  /** The children of a node of the tree, each in its element. */
  #blocks(parent: Tree, into: Element): void {
    if (++this.#depth > DEEPEST) throw new TooMuch();
    for (let node = parent._firstChild; node; node = node.next) {
      let text = "";
      for (; node?.type === "text"; node = node.next) text += node._literal; // the parser cuts it where it tries something
      if (text) this.#text(text, into);
      if (!node) break;
      this.#node(node, into);
    }
    this.#depth -= 1;
  }

  #count(cost = 1): void {
    this.#nodes += cost;
    if (this.#nodes > MANY_NODES) throw new TooMuch();
  }

  #node(node: Tree, into: Element): void {
    this.#count();
    switch (node.type) {
      case "softbreak":
        return into.append("\n");
      case "linebreak":
        return into.append(h("br"));
      case "code":
        return into.append(h("code", { dir: "ltr" }, visible(this.#plain(node._literal))));
      case "code_block":
        return into.append(this.#code(node));
      case "thematic_break":
        return into.append(h("hr"));
      case "html_block":
        return into.append(h("p", { class: "plain", dir: "auto" }, visible(this.#plain(node._literal))));
      case "link":
      case "image":
        return this.#link(node, into);
      default:
        return this.#container(node, into);
    }
  }

  #container(node: Tree, into: Element): void {
    if (node.type === "heading") {
      this.#headings = [...this.#headings.filter((level) => level < node.level), node.level];
      node.level = this.#headings.length;
    }
    const tight = node.type === "paragraph" && node._parent?._parent?._listData.tight;
    const element = tight ? undefined : containerOf(node);
    this.#blocks(node, element ?? into);
    if (element) into.append(element);
  }

  #code(node: Tree): HTMLElement {
    const code = this.#plain(node._literal).replace(/\n$/, "");
    return h("pre", { dir: "ltr", tabindex: 0, role: "group", "aria-label": "Code" }, h("code", {}, visible(code)));
  }

  /** A link to a page; of a picture too, as no picture is loaded. What leads elsewhere stays text. */
  #link(node: Tree, into: Element): void {
    this.#count(LINK_COST);
    const inner = h("span");
    this.#blocks(node, inner);
    const url = webAddress(this.#plain(node._destination));
    const words = inner.textContent;
    const children = [...inner.childNodes];
    const label = children.length ? children : [url?.host ?? "image"];
    if (!url || inner.querySelector("button, a")) into.append(...label);
    else into.append(link(url, { dir: "auto" }, ...label, realHost(words, url)));
  }

  /** A signed text as it was; the edges of spans in it count for what follows. */
  #plain(signed: string | null): string {
    for (const piece of this.marked.pieces(signed ?? "")) {
      if (typeof piece === "object" && !("text" in piece)) this.#covering = piece;
    }
    return this.marked.plain(signed ?? "");
  }

  #text(signed: string, into: Element): void {
    for (const piece of this.marked.pieces(signed)) this.#piece(piece, into);
  }

  #piece(piece: Piece, into: Element): void {
    this.#count();
    if (typeof piece !== "string") {
      if ("text" in piece) into.append(this.places.mark(piece));
      else this.#covering = piece;
      return;
    }
    const covered = this.#covering.length ? h("span") : into;
    for (const [text, url] of withAddresses(piece)) {
      if (url) this.#count(LINK_COST);
      covered.append(url ? link(url, {}, visible(text), realHost(text, url)) : visible(text));
    }
    if (covered !== into) {
      const content = document.createDocumentFragment();
      content.append(...covered.childNodes);
      into.append(this.places.cited(this.#covering, content));
    }
  }

  #table(table: Table): HTMLElement {
    const { head, rows, align } = rowsOf(table);
    const cell = (tag: "th" | "td", text: string, column: number): HTMLElement => {
      const element = h(tag, { dir: "auto", scope: tag === "th" && "col", class: align[column] });
      this.#count();
      if (text.search(SPECIAL) < 0) this.#text(text, element);
      else {
        check(text);
        const paragraph = this.#parser.parse(text)._firstChild;
        if (paragraph?.type === "paragraph") this.#blocks(paragraph, element);
        else this.#text(text, element);
      }
      return element;
    };
    const body = rows.map((row) => h("tr", {}, ...row.map((text, column) => cell("td", text, column))));
    const header = h("tr", {}, ...head.map((text, column) => cell("th", text, column)));
    const element = h("table", {}, h("thead", {}, header), h("tbody", {}, ...body));
    return h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Table" }, element);
  }
}

function containerOf(node: Tree): HTMLElement | undefined {
  switch (node.type) {
    case "paragraph":
      return h("p", { dir: "auto" });
    case "heading":
      return h(`h${Math.min(node.level + 2, 6)}` as "h3", { dir: "auto" });
    case "block_quote":
      return h("blockquote", { dir: "auto" });
    case "list":
      return node._listData.type === "ordered" ? h("ol", { start: startOf(node) }) : h("ul");
    case "item":
      return h("li", { dir: "auto" });
    case "emph":
      return h("em");
    case "strong":
      return h("strong");
    default:
      return undefined; // what a later parser has more: its children show without it
  }
}

function startOf(list: Tree): number | undefined {
  const { start } = list._listData;
  return start === 1 ? undefined : (start ?? undefined);
}

/** The parts of a text, with the address of each that is one. */
function* withAddresses(text: string): Generator<[string, URL?]> {
  let from = 0;
  for (const found of text.matchAll(/\bhttps?:\/\/[^\s<>"'`]{1,2000}/g)) {
    let address = found[0].replace(/[.,:;!?*_~]+$/, "");
    if (address.endsWith(")") && !address.includes("(")) address = address.slice(0, -1);
    const url = webAddress(address);
    if (!url) continue;
    if (found.index > from) yield [text.slice(from, found.index)];
    yield [address, url];
    from = found.index + address.length;
  }
  if (from < text.length) yield [text.slice(from)];
}
