/** Tokens, cost and time of an answer, in one bar with its words. */

import { foreign, h } from "./dom.js";
import { money, percent, seconds, short, whole } from "./format.js";
import type { Usage } from "./result.js";

interface Part {
  readonly kind: string;
  readonly label: string;
  readonly tokens: number;
}

/** The parts of the input and the output, which do not overlap as the counts do. */
function partsOf(usage: Usage): Part[] {
  const { input, output } = usage;
  const cached = Math.min(usage.cached ?? 0, input ?? 0);
  const reasoning = Math.min(usage.reasoning ?? 0, output ?? 0);
  return [
    { kind: "cached", label: "cached input", tokens: cached },
    { kind: "input", label: "input", tokens: (input ?? 0) - cached },
    { kind: "reasoning", label: "reasoning", tokens: reasoning },
    { kind: "output", label: "output", tokens: (output ?? 0) - reasoning },
  ].filter(({ tokens }) => tokens > 0);
}

export function usageBar(usage: Usage | undefined, model: string): HTMLElement {
  const parts = usage ? partsOf(usage) : [];
  const sum = parts.reduce((total, { tokens }) => total + tokens, 0);
  const bar = h("div", { class: "bar", "aria-hidden": "true" });
  const legend = h("ul", { class: "legend", "aria-label": "Tokens" });
  for (const { kind, label, tokens } of parts) {
    const part = h("span", { class: kind });
    part.style.flexGrow = `${tokens / sum}`;
    bar.append(part);
    const share = percent(tokens / sum);
    legend.append(h("li", { title: `${whole(tokens)} tokens, ${share}` }, h("span", { class: `dot ${kind}` }), `${short(tokens)} ${label}`, h("span", { class: "spoken" }, ` tokens, ${share}`)));
  }
  const { cost, estimated, duration, firstToken } = usage ?? {};
  return h(
    "section",
    { id: "usage-bar", "aria-label": "Usage of this answer" },
    sum > 0 ? bar : undefined,
    h(
      "div",
      { class: "figures" },
      sum > 0 ? legend : h("span", {}, "Tokens unknown"),
      h(
        "p",
        { class: "totals" },
        h("span", {}, cost === undefined ? "Cost unknown" : money(cost), estimated && " estimated"),
        h(
          "span",
          { title: firstToken === undefined ? undefined : `First token after ${seconds(firstToken)}` },
          duration === undefined ? "Time unknown" : seconds(duration),
        ),
        model && foreign("span", model),
      ),
    ),
  );
}
