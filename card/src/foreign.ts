/** Reads values of any type without trusting them: what does not fit is as if it were not there. */

/** Characters that reorder text or that nobody sees, and halves of pairs; the two joiners that words need stay. */
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\uffff\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]|\p{Cs}/gu;

/** Marks over one letter: more of them than any script has reach over other lines, and take seconds to lay out. */
const MARKS = /(\p{M}{9})\p{M}+/gu;

/** The same text with a sign in place of each character that could deceive whoever reads it. */
export const visible = (text: string): string => text.replace(/\r\n?/g, "\n").replace(HIDDEN, "\ufffd").replace(MARKS, "$1");

/** At most `limit` UTF-16 units of a text, with a sign where it was cut. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const last = text.charCodeAt(limit - 1);
  return `${text.slice(0, last >= 0xd800 && last < 0xdc00 ? limit - 1 : limit)}…`;
}

/** A field of an object: only one of its own, whatever its name is. */
export const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;

/** A text as it is, empty where there is none. */
export const raw = (value: unknown): string => (typeof value === "string" ? value : "");

/** A text to show, cut to its limit. */
export const text = (value: unknown, limit = 1000): string => visible(cut(raw(value), limit));

/** A number that counts something; undefined where there is none, which is not 0. */
export const count = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;

/** The number of a source. */
export const index = (value: unknown): number | undefined =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;

/** At most `limit` items of a list, without those that `read` does not take. */
export function list<T>(value: unknown, limit: number, read: (item: unknown) => T | undefined): T[] {
  if (!Array.isArray(value)) return [];
  const found: T[] = [];
  for (const item of value.slice(0, limit)) {
    const taken = read(item);
    if (taken !== undefined && taken !== "") found.push(taken);
  }
  return found;
}
