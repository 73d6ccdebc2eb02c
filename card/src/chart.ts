/** What calls have used: figures, a chart by day and one by model, and the same as tables. */

import { button, folded, foreign, h, section, svg, type Child } from "./dom.js";
import { day, many, money, short, whole } from "./format.js";
import type { Sums, UsageReport } from "./result.js";

interface Measure {
  readonly name: string;
  readonly of: (sums: Sums) => number | undefined;
  readonly write: (value: number) => string;
}

const MEASURES: readonly Measure[] = [
  { name: "Cost", of: ({ cost }) => cost, write: money },
  { name: "Tokens", of: ({ tokens }) => tokens, write: short },
  { name: "Calls", of: ({ calls }) => calls, write: whole },
];
const MANY_MODELS = 12;

/** Cost with what is not sure about it. */
function costOf({ cost, estimated, withoutCost, calls }: Sums): string {
  if (cost === undefined) return calls === 0 ? money(0) : "unknown";
  const partly = withoutCost > 0 ? `, ${many(withoutCost, "call")} of unknown cost` : "";
  return `${money(cost)}${estimated ? " estimated" : ""}${partly}`;
}

const amount = (value: number | undefined, one: string): string =>
  value === undefined ? `${one}s unknown` : `${short(value)} ${value === 1 ? one : `${one}s`}`;

function figure(label: string, sums: Sums, budget?: number): HTMLElement {
  const spent = sums.cost ?? 0;
  const share = budget ? Math.min(spent / budget, 1) : 0;
  const level = h("div", { class: "bar", "aria-hidden": "true" }, h("span", { class: "output" }), h("span", { class: "rest" }));
  (level.firstChild as HTMLElement).style.flexGrow = `${share}`;
  (level.lastChild as HTMLElement).style.flexGrow = `${1 - share}`;
  return h(
    "div",
    { class: "figure" },
    h("dt", {}, label),
    h("dd", {}, h("strong", {}, sums.cost === undefined && sums.calls !== 0 ? "Cost unknown" : money(spent))),
    sums.estimated && h("dd", { class: "facts" }, "partly estimated"),
    sums.cost !== undefined && sums.withoutCost > 0 && h("dd", { class: "facts" }, `${many(sums.withoutCost, "call")} of unknown cost`),
    h("dd", { class: "facts" }, `${amount(sums.calls, "call")}, ${amount(sums.tokens, "token")}`),
    budget ? h("dd", { class: "facts" }, `of a budget of ${money(budget)}`, level) : undefined,
  );
}

const DAY_MS = 86_400_000;
const MANY_DAYS = 31;
const NOTHING = { calls: 0, tokens: 0, cost: 0, estimated: false, withoutCost: 0 };

/** Each day up to the last one, also those without calls; as they are where they are no dates. */
function calendar(days: readonly Sums[]): readonly Sums[] {
  const known = new Map(days.map((sums) => [Date.parse(`${sums.key}T00:00:00Z`), sums]));
  const last = Math.max(...known.keys());
  const first = Math.max(Math.min(...known.keys()), last - (MANY_DAYS - 1) * DAY_MS);
  if (Number.isNaN(last)) return days;
  return Array.from({ length: (last - first) / DAY_MS + 1 }, (_, at) => {
    const moment = first + at * DAY_MS;
    return known.get(moment) ?? { ...NOTHING, key: new Date(moment).toISOString().slice(0, 10) };
  });
}

/** Bars that stand beside each other, one for each day. */
function dayChart(counted: readonly Sums[], measure: Measure): SVGElement {
  const days = calendar(counted);
  const [height, foot] = [150, 22];
  const width = Math.max(280, Math.min(640, document.body.clientWidth - 32));
  const highest = Math.max(...days.map((sums) => measure.of(sums) ?? 0));
  const slot = (width - 60) / Math.max(days.length, 7);
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height + foot}`, class: "chart", role: "img", "aria-label": `${measure.name} by day; the table below has the figures` });
  chart.append(
    svg("line", { x1: 0, x2: width - 60, y1: height + 0.5, y2: height + 0.5, class: "axis" }),
    svg("line", { x1: 0, x2: width - 60, y1: 14.5, y2: 14.5, class: "grid" }),
    svg("text", { x: width, y: 18, "text-anchor": "end" }, measure.write(highest)),
    svg("text", { x: width, y: height + 4, "text-anchor": "end" }, "0"),
  );
  const every = Math.ceil(days.length / 7);
  days.forEach((sums, at) => {
    const value = measure.of(sums);
    const x = at * slot + slot * 0.15;
    const tall = highest > 0 ? ((value ?? 0) / highest) * (height - 14) : 0;
    const title = svg("title", {}, `${day(sums.key, true)}: ${value === undefined ? "unknown" : measure.write(value)}`);
    const y = height - Math.max(tall, value ? 1 : 0);
    chart.append(
      svg("rect", { x: x - slot * 0.15, y: 0, width: slot, height, class: "hit" }, title),
      svg("rect", { x, y, width: slot * 0.7, height: height - y, rx: Math.min(2, slot / 6), class: "column" }),
    );
    if ((days.length - 1 - at) % every === 0) {
      chart.append(svg("text", { x: x + slot * 0.35, y: height + 17, "text-anchor": "middle" }, day(sums.key)));
    }
  });
  return chart;
}

/** Bars that lie below each other, one for each model. */
function modelChart(models: readonly Sums[], measure: Measure): HTMLElement {
  const value = (sums: Sums): number => measure.of(sums) ?? 0;
  const highest = Math.max(...models.map(value));
  const sorted = models.toSorted((one, other) => value(other) - value(one)).slice(0, MANY_MODELS);
  const rows = sorted.map((sums) => {
    const known = measure.of(sums);
    const bar = h("span", { class: "level", "aria-hidden": "true" });
    bar.style.width = highest > 0 ? `${(value(sums) / highest) * 100}%` : "0";
    const label = known === undefined ? "unknown" : measure.write(known);
    return h("li", {}, foreign("span", sums.key || "unknown", "name"), h("span", { class: "track" }, bar), h("span", { class: "value" }, label));
  });
  return h("ul", { class: "levels", "aria-label": `${measure.name} by model` }, ...rows);
}

function table(caption: string, first: string, rows: readonly Sums[], name: (key: string) => string): HTMLElement {
  const head = [first, "Calls", "Tokens", "Cost"].map((title, at) => h("th", { scope: "col", class: at > 0 && "end" }, title));
  const body = rows.map((sums) => {
    const cells = [sums.calls, sums.tokens].map((value) => h("td", { class: "end" }, value === undefined ? "unknown" : whole(value)));
    return h("tr", {}, h("th", { scope: "row", dir: "auto" }, name(sums.key)), ...cells, h("td", { class: "end" }, costOf(sums)));
  });
  return h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": caption }, h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body)));
}

/** All that `grok://usage` says. */
export function usageView(report: UsageReport, back: Child): HTMLElement {
  const { days, models } = report;
  const measurable = MEASURES.filter(({ of }) => [...days, ...models].some((sums) => (of(sums) ?? 0) > 0));
  const charts = h("div", { class: "charts" });
  const choice = h("div", { class: "choice", role: "group", "aria-label": "What the charts show" });
  const choose = (measure: Measure): void => {
    for (const one of choice.children) one.setAttribute("aria-pressed", `${one.textContent === measure.name}`);
    charts.replaceChildren(
      ...(days.length ? [section("by-day", "By day", dayChart(days, measure))] : []),
      ...(models.length ? [section("by-model", "By model", modelChart(models, measure))] : []),
    );
  };
  for (const measure of measurable) choice.append(button(measure.name, {}, () => choose(measure)));
  if (measurable[0]) choose(measurable[0]);
  return h(
    "div",
    { class: "usage" },
    h("header", {}, h("h2", { tabindex: "-1" }, "Usage and cost"), back),
    report.sandbox && h("p", { class: "facts" }, "Of the sandbox: the prices are made up."),
    h("dl", { class: "tiles" }, figure("Today", report.today, report.budget), figure("This month", report.month), figure("In all", report.ever)),
    measurable.length > 0 && choice,
    measurable.length > 0 && charts,
    measurable.length === 0 && h("p", { class: "facts" }, "No call has been counted yet."),
    measurable.length > 0 &&
      folded(
        {},
        h("span", { class: "name" }, "As tables"),
        days.length > 0 && table("By day, in UTC", "Day", days, (key) => day(key).replaceAll(" ", "\u00a0")),
        models.length > 0 && table("By model", "Model", models, (key) => key || "unknown"),
      ),
  );
}
