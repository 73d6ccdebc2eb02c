/** Stands in for the `node.js` of commonmark.js: the same tree, without what only its own writers need.
 *
 * The names with `_` are those by which its parsers know the fields.
 */

type Place = readonly [readonly [number, number], [number, number]];

interface ListData {
  readonly type?: "bullet" | "ordered";
  readonly tight?: boolean;
  readonly start?: number | null;
}

const CONTAINERS = ["document", "block_quote", "list", "item", "paragraph", "heading", "emph", "strong", "link", "image"];

export default class Tree {
  level = 0;
  info: string | null = null;
  _parent: Tree | null = null;
  _firstChild: Tree | null = null;
  _lastChild: Tree | null = null;
  _prev: Tree | null = null;
  _next: Tree | null = null;
  _open = true;
  _string_content: string | null = null;
  _literal: string | null = null;
  _listData: ListData = {};
  _destination: string | null = null;
  _title: string | null = null;
  _isFenced = false;
  _fenceChar: string | null = null;
  _fenceLength = 0;
  _fenceOffset = 0;

  constructor(
    readonly type: string,
    readonly sourcepos?: Place,
  ) {}

  get next(): Tree | null {
    return this._next;
  }

  appendChild(child: Tree): void {
    child.unlink();
    child._parent = this;
    child._prev = this._lastChild;
    if (this._lastChild) this._lastChild._next = child;
    else this._firstChild = child;
    this._lastChild = child;
  }

  unlink(): void {
    const { _prev: before, _next: after, _parent: parent } = this;
    if (before) before._next = after;
    else if (parent) parent._firstChild = after;
    if (after) after._prev = before;
    else if (parent) parent._lastChild = before;
    this._parent = this._next = this._prev = null;
  }

  insertAfter(sibling: Tree): void {
    sibling.unlink();
    sibling._next = this._next;
    sibling._prev = this;
    sibling._parent = this._parent;
    if (this._next) this._next._prev = sibling;
    else if (this._parent) this._parent._lastChild = sibling;
    this._next = sibling;
  }

  /** Goes through the tree: into each node and, where it can hold others, out of it. */
  walker(): { next(): { entering: boolean; node: Tree } | null } {
    let current: Tree | null = this;
    let entering = true;
    return {
      next: () => {
        const node = current;
        if (!node) return null;
        const step = { entering, node };
        if (entering && CONTAINERS.includes(node.type)) {
          entering = node._firstChild !== null;
          if (entering) current = node._firstChild;
        } else if (node === this) current = null;
        else {
          entering = node._next !== null;
          current = node._next ?? node._parent;
        }
        return step;
      },
    };
  }
}
