/** Addresses that can be opened: http and https, with their real host, and by the host of the card alone. */

import { h, type Attributes, type Child } from "./dom.js";
import { visible } from "./foreign.js";

const LONGEST = 2048;

/** Opens an address through the host; undefined where the host can't. */
let open: ((url: string) => void) | undefined;

export function openLinksBy(opener: typeof open): void {
  open = opener;
}

/** The address as a browser would open it; undefined for all but http and https without a password. */
export function webAddress(address: string): URL | undefined {
  if (address.length > LONGEST || !URL.canParse(address)) return undefined;
  const url = new URL(address);
  const opens = url.protocol === "https:" || url.protocol === "http:";
  return opens && url.username === "" && url.password === "" ? url : undefined;
}

/** The host that will answer, in the letters that DNS has: what looks like another name is seen to be none. */
export const hostOf = (url: URL): string => url.host.replace(/^www\./, "");

/** What shows where a link leads: its host, unless the label begins with that, as DNS writes it. */
export function realHost(label: string, url: URL): Child {
  const named = label.trim().toLowerCase().replace(/^https?:\/\//, "").replace(/^www\./, "");
  const host = hostOf(url);
  const shown = named.startsWith(host) && !/^[\p{L}\p{M}\p{N}.:@-]/u.test(named.slice(host.length));
  return !shown && h("span", { class: "at" }, ` ${host}`);
}

/** A link where the host opens links, else the same text with the address to copy. */
export function link(url: URL, attributes: Attributes, ...children: Child[]): HTMLElement {
  if (!open) return h("span", attributes, ...children, " ", h("span", { class: "address" }, url.href));
  const opener = open;
  const element = h(
    "a",
    { ...attributes, href: url.href, title: url.href, target: "_blank", rel: "noopener noreferrer nofollow" },
    ...children,
  );
  const follow = (event: Event): void => {
    event.preventDefault();
    if (event.type === "click" || (event as MouseEvent).button === 1) opener(url.href);
  };
  element.addEventListener("click", follow);
  element.addEventListener("auxclick", follow);
  return element;
}

/** A link that shows where it leads, or the address as text where nobody should go there. */
export function addressLink(address: string, attributes: Attributes = {}): HTMLElement {
  const url = webAddress(address);
  if (!url) return h("span", { ...attributes, dir: "ltr" }, visible(address.slice(0, 300)));
  const path = `${url.pathname}${url.search}`;
  const rest = path === "/" ? "" : path.length > 60 ? `${path.slice(0, 59)}…` : path;
  return link(url, { ...attributes, dir: "ltr" }, h("span", { class: "host" }, hostOf(url)), rest);
}

