/** What the host says of the surroundings: theme, colours, fonts, room, language. */

import type { McpUiHostContext } from "@modelcontextprotocol/ext-apps";
import { count, field, raw } from "./foreign.js";
import { setLocale } from "./format.js";

type Name = keyof McpUiHostContext;

const VARIABLE = /^--(?:color|font|border|shadow)-[a-z0-9-]+$/;
const LONGEST_VALUE = 300;
const MANY_VARIABLES = 200;
const LONGEST_FONTS = 400_000;
const SIDES = ["top", "right", "bottom", "left"] as const;

const of = (context: unknown, name: Name & string): unknown => field(context, name);

/** Whether a value of a variable can reach nothing outside: CSP would stop it, but it shall not even try. */
const isPlain = (value: string): boolean => value.length <= LONGEST_VALUE && !/url|image|src|@|\\|;|\{/i.test(value);

/** Take what a context says; fields that it does not have stay as they were. */
export function applyContext(context: unknown): void {
  const root = document.documentElement;
  const theme = of(context, "theme");
  if (theme === "light" || theme === "dark") root.dataset["theme"] = theme;
  const locale = raw(of(context, "locale"));
  if (locale) setLocale(locale);
  applyVariables(root, field(of(context, "styles"), "variables"));
  applyColours(root);
  applyFonts(raw(field(field(of(context, "styles"), "css"), "fonts")));
  const insets = of(context, "safeAreaInsets");
  for (const side of SIDES) {
    const inset = count(field(insets, side));
    if (inset !== undefined) root.style.setProperty(`--inset-${side}`, `${Math.min(inset, 200)}px`);
  }
  applyDimensions(root, of(context, "containerDimensions"));
}

/** The host's own variables have the names that the style sheet uses. Colours only count as a whole: half of a
 * palette on half of ours could not be read.
 */
function applyVariables(root: HTMLElement, variables: unknown): void {
  if (typeof variables !== "object" || variables === null) return;
  const whole = ["--color-background-primary", "--color-text-primary", "--color-text-secondary"].every(
    (name) => raw(field(variables, name)) !== "",
  );
  if (whole) colours = [];
  for (const [name, value] of Object.entries(variables).slice(0, MANY_VARIABLES)) {
    if (!VARIABLE.test(name) || typeof value !== "string" || !isPlain(value)) continue;
    if (!name.startsWith("--color-")) root.style.setProperty(name, value);
    else if (whole) colours.push([name, value]);
  }
}

/** The host's colours, which count only where text in them can be read: with 4.5 to 1, as WCAG 2.2 AA has it. */
let colours: [name: string, value: string][] = [];
const PAIRS = [
  ["ink", "ground"],
  ["soft", "ground"],
  ["soft", "raised"],
  ["link", "ground"],
] as const;

function applyColours(root: HTMLElement): void {
  for (const [name, value] of colours) root.style.setProperty(name, value);
  const probe = document.createElement("i");
  document.body.append(probe);
  const readable = PAIRS.every(([text, ground]) => {
    const [low = 0, high = 0] = [luminance(probe, text), luminance(probe, ground)].sort((one, other) => one - other);
    return !((high + 0.05) / (low + 0.05) < 4.5); // one that can't be told counts as readable
  });
  probe.remove();
  if (!readable) for (const [name] of colours) root.style.removeProperty(name);
}

/** Of a colour of the style sheet; NaN where the browser writes it in another space than sRGB. */
function luminance(probe: HTMLElement, name: string): number {
  probe.style.color = `var(--${name})`;
  const colour = getComputedStyle(probe).color;
  const whole = /^rgb/.test(colour) ? 255 : /^color\(srgb /.test(colour) ? 1 : NaN;
  const [red = NaN, green = NaN, blue = NaN] = (colour.match(/[\d.]+/g) ?? []).map((digits) => {
    const part = Number(digits) / whole;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Fonts that come with the message itself; those of the network are left out. */
function applyFonts(css: string): void {
  if (!css || css.length > LONGEST_FONTS) return;
  const given = new CSSStyleSheet();
  try {
    given.replaceSync(css);
  } catch {
    return;
  }
  const inline = [...given.cssRules].filter(
    (rule) => rule instanceof CSSFontFaceRule && !/url\((?!\s*["']?data:font\/)/i.test(rule.cssText),
  );
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(inline.map((rule) => rule.cssText).join("\n"));
  document.adoptedStyleSheets = [sheet];
}

/** A fixed height is filled, and what is higher scrolls inside; else the card has the height of its content. */
function applyDimensions(root: HTMLElement, dimensions: unknown): void {
  if (dimensions === undefined) return;
  const fixed = count(field(dimensions, "height")) !== undefined;
  root.dataset["height"] = fixed ? "fixed" : "free";
  const widest = count(field(dimensions, "maxWidth"));
  root.style.setProperty("--widest", widest ? `${widest}px` : "none");
}
