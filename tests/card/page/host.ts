/** A host with one card, as the extension MCP Apps says: its own library's bridge, and a sandbox of another origin.
 *
 * Tests drive it through `window.host`. The bridge checks each message of the card against the extension's schemas.
 */

import {
  AppBridge,
  PostMessageTransport,
  type McpUiHostCapabilities,
  type McpUiHostContext,
} from "@modelcontextprotocol/ext-apps/app-bridge";
import type { CallToolResult, ReadResourceResult } from "@modelcontextprotocol/client";

interface Card {
  readonly html: string;
  readonly sandbox: string;
  readonly capabilities: McpUiHostCapabilities;
  readonly context: McpUiHostContext;
  /** What `resources/read` brings; null is an error. */
  readonly resource: ReadResourceResult | null;
  readonly refuseLinks: boolean;
}

/** What the card has sent, and what the bridge found wrong with it. */
const seen = {
  messages: [] as { method?: string; id?: number; result?: unknown; error?: unknown; params?: unknown }[],
  links: [] as string[],
  reads: [] as string[],
  errors: [] as string[],
  app: {} as unknown,
};
const frame = document.querySelector("iframe")!;
let bridge: AppBridge;

window.addEventListener("message", (event) => {
  if (event.source === frame.contentWindow) seen.messages.push(event.data);
});

async function open(card: Card): Promise<void> {
  bridge = new AppBridge(null, { name: "test-host", version: "1" }, card.capabilities, { hostContext: card.context });
  bridge.onerror = (error) => void seen.errors.push(String(error));
  bridge.onopenlink = async ({ url }) => {
    seen.links.push(url);
    return card.refuseLinks ? { isError: true } : {};
  };
  bridge.onreadresource = async ({ uri }) => {
    seen.reads.push(uri);
    if (!card.resource) throw new Error("there is no such resource");
    return card.resource;
  };
  bridge.onsizechange = ({ height }) => {
    if (height !== undefined && !("height" in (card.context.containerDimensions ?? {}))) frame.style.height = `${height}px`;
  };
  const ready = new Promise<void>((resolve) => void (bridge.onsandboxready = () => resolve()));
  const initialized = new Promise<void>((resolve) => void (bridge.oninitialized = () => resolve()));
  await bridge.connect(new PostMessageTransport(frame.contentWindow!, frame.contentWindow!));
  frame.src = card.sandbox;
  await ready;
  await bridge.sendSandboxResourceReady({ html: card.html, sandbox: "allow-scripts allow-same-origin" });
  await initialized;
  seen.app = { info: bridge.getAppVersion(), capabilities: bridge.getAppCapabilities() };
}

const host = {
  seen,
  open,
  input: (given: Record<string, unknown>) => bridge.sendToolInput({ arguments: given }),
  inputPartial: (given: Record<string, unknown>) => bridge.sendToolInputPartial({ arguments: given }),
  result: (result: CallToolResult) => bridge.sendToolResult(result),
  cancelled: (reason: string) => bridge.sendToolCancelled({ reason }),
  context: (context: McpUiHostContext) => bridge.sendHostContextChange(context),
  teardown: () => bridge.teardownResource({}),
  /** A message that the bridge itself would not send. */
  post: (message: unknown) => frame.contentWindow!.postMessage(message, "*"),
};

declare global {
  interface Window {
    host: typeof host;
  }
}
window.host = host;
