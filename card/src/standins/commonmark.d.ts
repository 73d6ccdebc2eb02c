declare module "commonmark" {
  export class Parser {
    /** The tree of a text, whose nodes are those of `tree.ts`. */
    parse(text: string): import("./tree.js").default;
  }
}
