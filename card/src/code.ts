/** Code that ran at the endpoint, functions that it wants to be run, files that it met. */

import { folded, foreign, h, section } from "./dom.js";
import { addressLink } from "./links.js";
import type { Answer, CodeRun } from "./result.js";

const pre = (text: string, label: string): HTMLElement =>
  h("pre", { dir: "ltr", tabindex: 0, role: "group", "aria-label": label }, h("code", {}, text));

const firstLine = (code: string): string => code.split("\n").find((line) => line.trim() !== "")?.slice(0, 120) ?? "";

function codeRun(run: CodeRun, at: number): HTMLElement {
  const label = h(
    "span",
    {},
    h("span", { class: "name" }, `Code run ${at + 1}`),
    h("code", { class: "facts", dir: "ltr" }, firstLine(run.code)),
    run.status && h("span", { class: "chip doubt" }, run.status),
  );
  return folded(
    {},
    label,
    run.code && pre(run.code, "Code"),
    run.output && h("p", { class: "facts" }, "Output"),
    run.output && pre(run.output, "Output"),
    ...run.images.map((url) => h("p", { class: "facts" }, "Picture ", addressLink(url))),
  );
}

export const codeRuns = ({ codeRuns: runs }: Answer): HTMLElement | undefined =>
  runs.length ? section("code", "Code that ran", ...runs.map(codeRun)) : undefined;

export const toolCalls = ({ toolCalls: calls }: Answer): HTMLElement | undefined =>
  calls.length
    ? section(
        "calls",
        "Functions to run",
        ...calls.map((call) =>
          folded({}, h("code", { class: "name", dir: "ltr" }, call.name), pre(call.arguments, "Arguments")),
        ),
      )
    : undefined;

export const documents = ({ documents: found }: Answer): HTMLElement | undefined =>
  found.length
    ? section(
        "documents",
        "Files",
        h(
          "ul",
          {},
          ...found.map(({ name, score }) =>
            h("li", {}, foreign("span", name), score !== undefined && h("span", { class: "facts" }, ` ${score.toFixed(2)}`)),
          ),
        ),
      )
    : undefined;
