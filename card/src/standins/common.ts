/** Stands in for the `common.js` of commonmark.js: HTML tags are not read at all, so they stay text. */

import { decodeHTMLStrict } from "./entities.js";

const NEVER = "(?!)";

export const ENTITY = "&(?:#x[a-f0-9]{1,6}|#[0-9]{1,7}|[a-z][a-z0-9]{1,31});";
export const ESCAPABLE = "[!\"#$%&'()*+,./:;<=>?@[\\\\\\]^_`{|}~-]";
export const OPENTAG = NEVER;
export const CLOSETAG = NEVER;
export const reHtmlTag = new RegExp(NEVER);

const ESCAPED = new RegExp(`\\\\${ESCAPABLE}|${ENTITY}`, "gi");

export const unescapeString = (text: string): string =>
  text.replace(ESCAPED, (found) => (found.startsWith("\\") ? found.charAt(1) : decodeHTMLStrict(found)));

/** The browser's own URL writes an address as it should be. */
export const normalizeURI = (address: string): string => address;
