/** The card: hears the host, and draws what it is given. */

import type {
  McpUiHostContextChangedNotification,
  McpUiInitializeRequest,
  McpUiInitializeResult,
  McpUiResourceTeardownRequest,
  McpUiToolCancelledNotification,
  McpUiToolInputNotification,
  McpUiToolInputPartialNotification,
  McpUiToolResultNotification,
} from "@modelcontextprotocol/ext-apps";
import { usageBar } from "./bar.js";
import { usageView } from "./chart.js";
import { codeRuns, documents, toolCalls } from "./code.js";
import { button, folded, foreign, h, present, section, type Child } from "./dom.js";
import { field, text } from "./foreign.js";
import { Host } from "./host.js";
import { Lighting } from "./lighting.js";
import { openLinksBy } from "./links.js";
import { markdown } from "./markdown.js";
import { read, type Answer, type UsageReport } from "./result.js";
import { Sources } from "./sources.js";
import { applyContext } from "./theme.js";
import { timeline } from "./timeline.js";

declare const VERSION: string;

const PROTOCOL = "2026-01-26" satisfies typeof import("@modelcontextprotocol/ext-apps").LATEST_PROTOCOL_VERSION;
const USAGE = "grok://usage";

type Method =
  | McpUiHostContextChangedNotification["method"]
  | McpUiResourceTeardownRequest["method"]
  | McpUiToolCancelledNotification["method"]
  | McpUiToolInputNotification["method"]
  | McpUiToolInputPartialNotification["method"]
  | McpUiToolResultNotification["method"];


/** Some hosts wrap the page in one of theirs, and a policy counts only in the head; others take it out. */
const policy = document.querySelector("meta[content*=sha256]");
if (policy && policy.parentNode !== document.head) document.head.append(policy);

const main = document.querySelector("main > div")!;
const status = document.querySelector("[role=status]")!;
const host = new Host();
let canRead = false;
let lighting: Lighting | undefined;
let leave: (() => void) | undefined;
let heard = false;

/** Show a view; `say` is what a screen reader hears of it. */
function show(say: string, ...children: Child[]): void {
  main.replaceChildren(...present(children));
  status.textContent = say;
}

/** What is seen until the result is there. */
function showWorking(input: unknown): void {
  const asked = text(field(input, "query") ?? field(input, "prompt") ?? field(input, "question"), 600).trim();
  show("Grok is working.", h("div", { class: "working" }, h("p", {}, h("span", { class: "pulse" }), "Grok is working"), asked && foreign("p", asked, "asked")));
}

function showText(words: string, failed: boolean): void {
  lighting = new Lighting([], () => undefined);
  const body = markdown(words || (failed ? "The call failed without a word." : "The result is empty."), [], lighting);
  const title = h("h2", { id: "answer-title", class: !failed && "spoken" }, failed ? "The call failed" : "Answer");
  const press = usageButton();
  show(
    failed ? "The call failed." : "Grok has answered.",
    h(
      "div",
      { class: "view" },
      h("section", { class: failed ? "error" : "answer", "aria-labelledby": "answer-title" }, title, body),
      press && h("footer", {}, press),
    ),
  );
}

function showAnswer(answer: Answer): void {
  const sources = new Sources();
  const light = new Lighting(answer.citations, (source) => sources.show(source));
  const body = markdown(answer.text, answer.citations, light);
  const known = new Set(answer.citations.map(({ index }) => index));
  const list = sources.draw(answer.citations, answer.evidence, light);
  const aside = [list, timeline(answer.steps, known, light), documents(answer)].filter((one) => one !== undefined);
  const view = h(
    "div",
    { class: aside.length ? "view with-aside" : "view" },
    h("div", { class: "text" }, h("section", { class: "answer", "aria-labelledby": "answer-title" }, h("h2", { id: "answer-title", class: "spoken" }, "Answer"), body), ...alternatives(answer, light), notes(answer), codeRuns(answer), toolCalls(answer)),
    aside.length > 0 && h("aside", { "aria-label": "Where it is from" }, ...aside),
    h("footer", {}, usageBar(answer.usage, answer.model), usageButton()),
  );
  lighting = light;
  light.watch(view);
  show("Grok has answered.", view);
}

function alternatives(answer: Answer, light: Lighting): HTMLElement[] {
  return answer.alternatives.map((words, at) => {
    const element = folded({}, h("span", { class: "name" }, `Another answer${answer.alternatives.length > 1 ? ` (${at + 1})` : ""}`));
    element.addEventListener("toggle", () => element.append(markdown(words, answer.citations, light)), { once: true });
    return element;
  });
}

/** What the server warns of, which includes why an answer ended early and what does not hold of its markers. */
const notes = ({ warnings }: Answer): HTMLElement | undefined =>
  warnings.length ? section("notes", "Notes", h("ul", {}, ...warnings.map((note) => foreign("li", note)))) : undefined;

function usageButton(): HTMLElement | undefined {
  if (!canRead) return undefined;
  const press = button("Usage", { class: "quiet", title: "What your calls have used and cost" }, () => {
    const before = [...main.childNodes];
    const back = (): void => {
      leave = undefined;
      show("Back at the answer.", ...before);
      press.disabled = false;
      press.focus();
    };
    press.disabled = true;
    status.textContent = "Asking for the usage.";
    host.request("resources/read", { uri: USAGE }).then(
      (result) => {
        const report = read(result);
        if (report.kind !== "usage") throw new Error("what came is not the usage");
        if (main.contains(press)) showUsage(report, back);
      },
    ).catch((error: unknown) => {
      press.disabled = false;
      status.textContent = `The usage can't be shown: ${text(error instanceof Error ? error.message : "", 200)}`;
    });
  });
  return press;
}

function showUsage(report: UsageReport, back?: () => void): void {
  leave = back;
  const view = usageView(report, back && button("Back to the answer", { class: "quiet" }, back));
  show("Usage and cost.", view);
  if (back) view.querySelector("h2")?.focus();
}

function showResult(result: unknown): void {
  const shown = read(result);
  heard = true;
  leave = undefined;
  if (shown.kind === "answer") showAnswer(shown);
  else if (shown.kind === "usage") showUsage(shown);
  else showText(shown.text, shown.failed);
}

/** Tell the host the height, at most once a frame and only where it has changed. */
function reportSize(): void {
  let reported = 0;
  let asked = false;
  const card = document.body;
  new ResizeObserver(() => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      const height = Math.ceil(card.getBoundingClientRect().height);
      if (height !== reported) host.notify("ui/notifications/size-changed", { height });
      reported = height;
    });
  }).observe(card);
}

function openLink(url: string): void {
  const refused = (): void => {
    status.textContent = `The host did not open ${url}`;
  };
  host.request("ui/open-link", { url }).then((result) => field(result, "isError") === true && refused(), refused);
}

const on = (method: Method, act: (params: unknown) => void): void => void host.on.set(method, act);

on("ui/notifications/tool-input-partial", (params) => showWorking(field(params, "arguments")));
on("ui/notifications/tool-input", (params) => showWorking(field(params, "arguments")));
on("ui/notifications/tool-result", showResult);
on("ui/notifications/tool-cancelled", (params) => {
  const reason = text(field(params, "reason"), 300);
  show("The call was cancelled.", h("div", { class: "working" }, h("p", {}, "The call was cancelled"), reason && foreign("p", reason, "asked")));
});
on("ui/notifications/host-context-changed", applyContext);
host.answers.set("ping", () => undefined);
host.answers.set("ui/resource-teardown" satisfies Method, () => {
  host.on.clear();
  lighting = undefined;
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !lighting?.release()) leave?.();
});

function start(result: McpUiInitializeResult): void {
  const able = field(result, "hostCapabilities");
  if (field(able, "openLinks") !== undefined) openLinksBy(openLink);
  canRead = field(able, "serverResources") !== undefined;
  applyContext(field(result, "hostContext"));
  host.notify("ui/notifications/initialized", {});
  reportSize();
}

showWorking(undefined);
const request: McpUiInitializeRequest["params"] = {
  appInfo: { name: "grok-card", title: "Grok", version: VERSION },
  appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
  protocolVersion: PROTOCOL,
};
host.request("ui/initialize", request).then(start, () => {
  if (heard) return;
  status.textContent = "";
  show("", h("p", { class: "working" }, "No host answers: this card is shown by hosts with MCP Apps."));
});
