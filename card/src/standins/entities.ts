/** Stands in for the package `entities`, whose table of all 2,000 names is larger than the card may be. */

const NAMED: ReadonlyMap<string, string> = new Map([
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
  ["nbsp", "\u00a0"],
  ["ndash", "–"],
  ["mdash", "—"],
  ["hellip", "…"],
  ["euro", "€"],
  ["times", "×"],
  ["deg", "°"],
]);

/** The character of a reference such as `&amp;` or `&#38;`; one that is not known stays as it is. */
export function decodeHTMLStrict(reference: string): string {
  const name = reference.slice(1, -1);
  if (!name.startsWith("#")) return NAMED.get(name) ?? reference;
  const point = /^#x/i.test(name) ? parseInt(name.slice(2), 16) : parseInt(name.slice(1), 10);
  return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : "\ufffd";
}
