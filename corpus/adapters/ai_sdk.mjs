// The adapter of the Vercel AI SDK, as its documentation uses it: chat completions by
// `@ai-sdk/openai-compatible`, which is for gateways, the Responses API by `@ai-sdk/xai`, which is for xAI.
//
//     npm install ai @ai-sdk/openai-compatible @ai-sdk/xai
//     node ai_sdk.mjs

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { createXai } from '@ai-sdk/xai';
import { APICallError, generateText, jsonSchema, Output, streamText, tool } from 'ai';

const COUNTS = ['input_tokens', 'output_tokens', 'reasoning_tokens', 'cached_tokens', 'total_tokens'];
const BOTH = [
  ...['text', 'reasoning_text', 'tool_calls', 'finish_reason', 'complete', 'model', 'data'],
  ...['error.status', 'error.message', 'error.retryable'],
  ...COUNTS.map(name => `usage.${name}`),
];
const OFFERS = { chat: BOTH, responses: [...BOTH, 'citations.url', 'citations.title'] };
const REASONS = { stop: 'stop', length: 'length', 'tool-calls': 'tool_calls', 'content-filter': 'content_filter' };

function version(name) {
  const path = new URL(`./node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')).version;
}

/** The options of a call. */
function options(baseURL, request) {
  const settings = { baseURL, apiKey: request.api_key };
  const xai = createXai(settings);
  const compatible = createOpenAICompatible({
    name: 'corpus',
    includeUsage: true,
    supportsStructuredOutputs: true,
    ...settings,
  });
  const chat = request.dialect === 'chat';
  const tools = Object.fromEntries(
    (request.tools ?? []).map(({ name, parameters }) => [name, tool({ inputSchema: jsonSchema(parameters) })]),
  );
  if (request.search && !chat) {
    Object.assign(tools, { web_search: xai.tools.webSearch(), x_search: xai.tools.xSearch() });
  }
  return {
    model: chat ? compatible(request.model) : xai.responses(request.model),
    prompt: request.prompt,
    maxRetries: 0,
    abortSignal: AbortSignal.timeout((request.timeout_s ?? 10) * 1000),
    ...(Object.keys(tools).length > 0 && { tools }),
    ...(request.schema && { output: Output.object({ schema: jsonSchema(request.schema) }) }),
  };
}

function called(call) {
  return { id: call.toolCallId, name: call.toolName, arguments: call.input };
}

function counted(usage) {
  const { inputTokens, outputTokens, totalTokens, inputTokenDetails, outputTokenDetails } = usage;
  const values = [
    ...[inputTokens, outputTokens, outputTokenDetails?.reasoningTokens],
    ...[inputTokenDetails?.cacheReadTokens, totalTokens],
  ];
  return Object.fromEntries(COUNTS.map((name, number) => [name, values[number] ?? null]));
}

function failed(reading, error) {
  const words = typeof error === 'string' ? error : (error?.message ?? JSON.stringify(error));
  reading.complete = false;
  reading.error = {
    status: error?.statusCode ?? null,
    message: APICallError.isInstance(error) ? `${words} ${error.responseBody ?? ''}` : words,
    retryable: error?.isRetryable ?? null,
  };
}

/** Read a stream part by part: an error is one of them. */
async function stream(given, request, reading) {
  const result = streamText({ ...given, onError() {} });
  for await (const part of result.stream) {
    if (part.type === 'text-delta') reading.text += part.text;
    else if (part.type === 'reasoning-delta') reading.reasoning_text += part.text;
    else if (part.type === 'tool-call' && !part.providerExecuted) reading.tool_calls.push(called(part));
    else if (part.type === 'source' && part.sourceType === 'url') reading.citations.push(source(part));
    else if (part.type === 'finish-step') reading.model = part.response.modelId;
    else if (part.type === 'finish') ended(reading, part, part.totalUsage);
    else if (part.type === 'error') failed(reading, part.error);
    else if (part.type === 'abort') failed(reading, 'aborted');
  }
  if (request.schema && !reading.error) reading.data = await result.output;
}

/** Read a whole answer. */
async function whole(given, request, reading) {
  const result = await generateText(given);
  reading.text = result.text;
  reading.reasoning_text = result.reasoningText ?? '';
  reading.tool_calls = result.toolCalls.filter(call => !call.providerExecuted).map(called);
  reading.citations = result.sources.filter(one => one.sourceType === 'url').map(source);
  reading.model = result.response.modelId;
  ended(reading, result, result.usage);
  if (request.schema) reading.data = result.output;
}

function source({ url, title }) {
  return { url, title: title ?? null };
}

/** An unknown reason is `other`, and so is none at all: then there is no raw one. */
function ended(reading, { finishReason, rawFinishReason }, usage) {
  reading.finish_reason = REASONS[finishReason] ?? finishReason;
  reading.usage = counted(usage);
  reading.complete = !reading.error && finishReason !== 'error' && (finishReason in REASONS || rawFinishReason !== undefined);
}

async function read({ base_url, request }) {
  if (request.n) return { not_offered: 'it asks for one answer only' };
  const reading = { text: '', reasoning_text: '', tool_calls: [], citations: [], usage: null, complete: false, error: null };
  try {
    const given = options(base_url, request);
    await (request.stream ? stream : whole)(given, request, reading);
  } catch (error) {
    failed(reading, error);
  }
  return reading;
}

process.on('unhandledRejection', () => {}); // of promises that nobody waits for behind a failed stream
globalThis.AI_SDK_LOG_WARNINGS = false;
const names = ['ai', '@ai-sdk/openai-compatible', '@ai-sdk/xai'];
const versions = names.map(name => `${name} ${version(name)}`).join(', ');
console.log(JSON.stringify({ client: 'AI SDK', version: versions, offers: OFFERS }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await read(JSON.parse(line))));
}
