/** Makes elements. Text only ever becomes text nodes, so nothing is parsed as HTML. */

export type Child = Node | string | undefined | false;
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

const SVG = "http://www.w3.org/2000/svg";

/** The children that there are. */
export const present = (children: readonly Child[]): (Node | string)[] =>
  children.filter((child): child is Node | string => Boolean(child));

function fill<E extends Element>(element: E, attributes: Attributes, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : `${value}`);
  }
  element.append(...present(children));
  return element;
}

/** An HTML element. `attributes` are written in the source of the card: values may be foreign, names are not. */
export const h = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const svg = <K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] => fill(document.createElementNS(SVG, tag), attributes, children);

/** A button that does `press`. */
export function button(label: Child, attributes: Attributes, press: () => void): HTMLButtonElement {
  const element = h("button", { type: "button", ...attributes }, label);
  element.addEventListener("click", press);
  return element;
}

/** What is folded until somebody wants it. */
export const folded = (attributes: Attributes, summary: Child, ...children: Child[]): HTMLDetailsElement =>
  h("details", attributes, h("summary", {}, summary), ...children);

/** A part of the card with a heading, which screen readers list. */
export function section(id: string, title: string, ...children: Child[]): HTMLElement {
  const label = `${id}-title`;
  return h("section", { id, "aria-labelledby": label }, h("h2", { id: label }, title), ...children);
}

/** Foreign text in a direction of its own. */
export const foreign = (tag: "span" | "p" | "li" | "strong" | "q", value: string, kind?: string): HTMLElement =>
  h(tag, { dir: "auto", class: kind }, value);
