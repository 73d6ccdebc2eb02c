/** What a tool result says, read field by field: any of them may be missing, or of another type. */

import { count, cut, field, index, list, raw, text, visible } from "./foreign.js";

const ANSWER = "grok-mcp/answer";
const MANY_SOURCES = 500;
const MANY = 200;
const FEW = 30;
const LONG = 20_000;

export interface Citation {
  readonly index: number;
  readonly url: string;
  readonly title: string;
  readonly source: string;
  readonly spans: readonly (readonly [number, number])[];
  readonly fromText: boolean;
}

export interface Step {
  readonly kind: string;
  readonly queries: readonly string[];
  readonly url: string;
  readonly pattern: string;
  readonly name: string;
  readonly met: readonly number[];
}

export interface CodeRun {
  readonly code: string;
  readonly output: string;
  readonly images: readonly string[];
  readonly status: string;
}

export interface Evidence {
  readonly metOnly: ReadonlySet<number>;
  readonly unseen: ReadonlySet<number>;
}

export interface Usage {
  readonly input: number | undefined;
  readonly cached: number | undefined;
  readonly output: number | undefined;
  readonly reasoning: number | undefined;
  readonly cost: number | undefined;
  readonly estimated: boolean;
  readonly duration: number | undefined;
  readonly firstToken: number | undefined;
}

export interface Answer {
  readonly kind: "answer";
  readonly text: string;
  readonly alternatives: readonly string[];
  readonly citations: readonly Citation[];
  readonly steps: readonly Step[];
  readonly documents: readonly { readonly name: string; readonly score: number | undefined }[];
  readonly codeRuns: readonly CodeRun[];
  readonly evidence: Evidence;
  readonly warnings: readonly string[];
  readonly toolCalls: readonly { readonly name: string; readonly arguments: string }[];
  readonly model: string;
  readonly usage: Usage | undefined;
}

/** Sums of calls: of a day, of a model, of all. */
export interface Sums {
  readonly key: string;
  readonly calls: number | undefined;
  readonly tokens: number | undefined;
  readonly cost: number | undefined;
  readonly estimated: boolean;
  readonly withoutCost: number;
}

export interface UsageReport {
  readonly kind: "usage";
  readonly sandbox: boolean;
  readonly budget: number | undefined;
  readonly today: Sums;
  readonly month: Sums;
  readonly ever: Sums;
  readonly days: readonly Sums[];
  readonly models: readonly Sums[];
}

export interface PlainText {
  readonly kind: "text";
  readonly text: string;
  readonly failed: boolean;
}

/** What the card shows of a `CallToolResult`, or of what `resources/read` brought. */
export function read(result: unknown): Answer | UsageReport | PlainText {
  const shown = contentOf(result);
  const failed = field(result, "isError") === true;
  const answer = field(field(result, "_meta"), ANSWER);
  if (!failed && typeof answer === "object" && answer !== null) return readAnswer(answer, shown);
  const usage = failed ? undefined : readUsage(shown);
  return usage ?? { kind: "text", text: shown, failed };
}

/** The text blocks of a result, or the text of the resource in it. */
function contentOf(result: unknown): string {
  const blocks = field(result, "content") ?? field(result, "contents");
  return list(blocks, FEW, (block) => raw(field(block, "text")) || raw(field(field(block, "resource"), "text"))).join(
    "\n\n",
  );
}

function readAnswer(answer: unknown, shown: string): Answer {
  const own = field(answer, "text");
  const of = (name: string): unknown => field(answer, name);
  return {
    kind: "answer",
    text: typeof own === "string" ? own : asCode(shown),
    alternatives: list(of("alternatives"), FEW, raw),
    citations: numbered(list(of("citations"), MANY_SOURCES, (one) => readCitation(one, typeof own === "string"))),
    steps: readSteps(answer),
    documents: list(of("documents"), MANY, readDocument),
    codeRuns: list(of("code_runs"), FEW, readCodeRun),
    evidence: readEvidence(of("evidence")),
    warnings: list(of("warnings"), FEW, (one) => text(one)),
    toolCalls: list(of("tool_calls"), FEW, readToolCall),
    model: text(of("model"), 100),
    usage: readCounts(of("usage")),
  };
}

/** JSON that was asked for as a block of code; any other text as it is. */
function asCode(shown: string): string {
  try {
    return /^[[{]/.test(shown) ? `\`\`\`json\n${JSON.stringify(JSON.parse(shown), null, 2)}\n\`\`\`` : shown;
  } catch {
    return shown;
  }
}

function readCitation(value: unknown, withSpans: boolean): Citation | undefined {
  const number = index(field(value, "index"));
  const url = raw(field(value, "url"));
  const title = text(field(value, "title"), 300).replace(/\s+/g, " ").trim();
  if (number === undefined || (!url && !title)) return undefined;
  const spans = withSpans ? list(field(value, "spans"), MANY, readSpan) : [];
  const source = text(field(value, "source"), 20);
  return { index: number, url, title, source, spans, fromText: field(value, "from_text") === true };
}

/** The first of each number: a second one could not be told from it. */
function numbered(citations: readonly Citation[]): Citation[] {
  return [...new Map(citations.toReversed().map((one) => [one.index, one])).values()].toReversed();
}

function readSpan(value: unknown): readonly [number, number] | undefined {
  if (!Array.isArray(value)) return undefined;
  const start = index(value[0]);
  const end = index(value[1]);
  return start === undefined || end === undefined ? undefined : [start, end];
}

/** The steps; without them what an older answer has of them. */
function readSteps(answer: unknown): Step[] {
  const steps = list(field(answer, "steps"), MANY, (one): Step | undefined => {
    const kind = text(field(one, "kind"), 20);
    if (!kind) return undefined;
    return {
      kind,
      queries: list(field(one, "queries"), FEW, (query) => text(query, 300)),
      url: raw(field(one, "url")),
      pattern: text(field(one, "pattern"), 200),
      name: text(field(one, "name"), 200),
      met: list(field(one, "met"), MANY, index),
    };
  });
  if (steps.length) return steps;
  const bare = { queries: [], url: "", pattern: "", name: "", met: [] };
  const searches = list(field(answer, "search_queries"), MANY, (one) => text(one, 300));
  return [
    ...searches.map((query) => ({ ...bare, kind: "web", queries: [query] })),
    ...list(field(answer, "pages_read"), MANY, raw).map((url) => ({ ...bare, kind: "page", url })),
  ];
}

function readDocument(value: unknown): { name: string; score: number | undefined } | undefined {
  const name = text(field(value, "name"), 300) || text(field(value, "id"), 300);
  return name ? { name, score: count(field(value, "score")) } : undefined;
}

function readCodeRun(value: unknown): CodeRun | undefined {
  const run = {
    code: text(field(value, "code"), LONG),
    output: text(field(value, "output"), LONG),
    images: list(field(value, "images"), FEW, raw),
    status: text(field(value, "status"), 100),
  };
  return run.code || run.output || run.images.length ? run : undefined;
}

function readEvidence(value: unknown): Evidence {
  const numbers = (name: string): Set<number> => new Set(list(field(value, name), MANY_SOURCES, index));
  return { metOnly: numbers("met_only"), unseen: numbers("unseen") };
}

function readToolCall(value: unknown): { name: string; arguments: string } | undefined {
  const name = text(field(value, "name"), 200);
  const given = field(value, "arguments");
  return name ? { name, arguments: typeof given === "string" ? text(given, LONG) : json(given) } : undefined;
}

/** A value as JSON to read. */
function json(value: unknown): string {
  try {
    return visible(cut(JSON.stringify(value ?? {}, null, 2), LONG));
  } catch {
    return ""; // deeper than the browser can write
  }
}

function readCounts(value: unknown): Usage | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  return {
    input: count(field(value, "input_tokens")),
    cached: count(field(value, "cached_tokens")),
    output: count(field(value, "output_tokens")),
    reasoning: count(field(value, "reasoning_tokens")),
    cost: count(field(value, "cost_usd")),
    estimated: field(value, "cost_source") === "estimated",
    duration: count(field(value, "duration_s")),
    firstToken: count(field(value, "time_to_first_token_s")),
  };
}

/** The document of `grok://usage`; undefined for any other text. */
function readUsage(document: string): UsageReport | undefined {
  if (!document.startsWith("{") || document.length > 1_000_000) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(document);
  } catch {
    return undefined;
  }
  if (!Array.isArray(field(value, "by_model")) || field(value, "all_time") === undefined) return undefined;
  return {
    kind: "usage",
    sandbox: field(value, "sandbox") === true,
    budget: count(field(value, "budget_usd_per_day")),
    today: readSums(field(value, "today")),
    month: readSums(field(value, "this_month")),
    ever: readSums(field(value, "all_time")),
    days: list(field(value, "by_day"), 366, readSums).slice(-31),
    models: list(field(value, "by_model"), 50, readSums),
  };
}

function readSums(value: unknown): Sums {
  const calls = count(field(value, "calls"));
  const withoutCost = count(field(value, "calls_without_cost")) ?? 0;
  const input = count(field(value, "input_tokens"));
  const output = count(field(value, "output_tokens"));
  const cost = count(field(value, "cost_usd"));
  const unknown = withoutCost > 0 && calls !== undefined && withoutCost >= calls;
  return {
    key: text(field(value, "key"), 100),
    calls,
    tokens: count(field(value, "total_tokens")) ?? (input === undefined && output === undefined ? undefined : (input ?? 0) + (output ?? 0)),
    cost: unknown ? undefined : cost,
    estimated: (count(field(value, "calls_with_estimated_cost")) ?? 0) > 0,
    withoutCost,
  };
}
