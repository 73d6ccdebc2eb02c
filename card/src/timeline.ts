/** What the run did, in its order. */

import { folded, foreign, h } from "./dom.js";
import { many } from "./format.js";
import type { Lighting } from "./lighting.js";
import { addressLink } from "./links.js";
import type { Step } from "./result.js";

const MANY_MET = 12;
const DONE: ReadonlyMap<string, string> = new Map([
  ["web", "Searched the web"],
  ["x", "Searched X"],
  ["page", "Read a page"],
  ["code", "Ran code"],
  ["files", "Searched files"],
  ["tool", "Called a tool"],
  ["media", "Looked at media"],
]);
const COUNTED: readonly (readonly [name: string, kinds: readonly string[], several: string])[] = [
  ["search", ["web", "x", "files"], "searches"],
  ["page", ["page"], "pages"],
  ["code run", ["code"], "code runs"],
];

/** The steps as a list that opens; undefined where there are none. */
export function timeline(steps: readonly Step[], known: ReadonlySet<number>, lighting: Lighting): HTMLElement | undefined {
  if (!steps.length) return undefined;
  const counts = COUNTED.map(([one, kinds, several]) => {
    const number = steps.filter((step) => kinds.includes(step.kind)).length;
    return number ? many(number, one, several) : "";
  }).filter(Boolean);
  const summary = h(
    "span",
    {},
    h("span", { class: "name", role: "heading", "aria-level": 2 }, "Steps"),
    h("span", { class: "facts" }, counts.join(", ") || many(steps.length, "step")),
  );
  const items = steps.map((step) => item(step, known, lighting));
  return h("section", { id: "steps", "aria-label": "Steps" }, folded({}, summary, h("ol", {}, ...items)));
}

function item(step: Step, known: ReadonlySet<number>, lighting: Lighting): HTMLElement {
  const met = step.met.filter((source) => known.has(source));
  const more = met.length - MANY_MET;
  return h(
    "li",
    {},
    h("span", { class: "what" }, DONE.get(step.kind) ?? foreign("span", step.kind)),
    ...(step.name ? [" ", foreign("strong", step.name)] : []),
    ...step.queries.map((query) => foreign("q", query)),
    step.url && h("div", { class: "where" }, addressLink(step.url)),
    step.pattern && h("div", { class: "where" }, "Looked for ", foreign("q", step.pattern)),
    met.length > 0 &&
      h(
        "div",
        { class: "met" },
        "Found ",
        ...met.slice(0, MANY_MET).map((source) => lighting.marker(source)),
        more > 0 && ` and ${many(more, "more", "more")}`,
      ),
  );
}
