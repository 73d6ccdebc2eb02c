/** The messages between the card and its host: JSON-RPC over postMessage, as the extension MCP Apps has it.
 *
 * The types are the extension's own; its `App` class would be ten times the card.
 */

import type { ReadResourceRequest, ReadResourceResult } from "@modelcontextprotocol/client";
import type {
  McpUiInitializedNotification,
  McpUiInitializeRequest,
  McpUiInitializeResult,
  McpUiOpenLinkRequest,
  McpUiOpenLinkResult,
  McpUiSizeChangedNotification,
} from "@modelcontextprotocol/ext-apps";
import { field, raw } from "./foreign.js";

/** Each request that the card makes, with its result. */
interface Requests {
  "ui/initialize": [McpUiInitializeRequest["params"], McpUiInitializeResult];
  "ui/open-link": [McpUiOpenLinkRequest["params"], McpUiOpenLinkResult];
  "resources/read": [ReadResourceRequest["params"], ReadResourceResult];
}

interface Notifications {
  [INITIALIZED]: McpUiInitializedNotification["params"];
  [SIZE_CHANGED]: McpUiSizeChangedNotification["params"];
}

const INITIALIZED = "ui/notifications/initialized" satisfies McpUiInitializedNotification["method"];
const SIZE_CHANGED = "ui/notifications/size-changed" satisfies McpUiSizeChangedNotification["method"];
const METHOD_NOT_FOUND = -32601;
const ANSWER_MS = 30_000;

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

type Listener = (params: unknown) => void;

/** The host of this page. `on` hears its notifications, `answers` its requests; both by their method. */
export class Host {
  readonly on = new Map<string, Listener>();
  readonly answers = new Map<string, () => void>();
  #waiting = new Map<number, Waiting>();
  #id = 0;

  constructor() {
    window.addEventListener("message", (event) => {
      if (event.source === window.parent) this.#take(event.data);
    });
  }

  /** Ask the host; rejects with its error, or where it does not answer. */
  request<M extends keyof Requests>(method: M, params: Requests[M][0]): Promise<Requests[M][1]> {
    const id = ++this.#id;
    return new Promise<Requests[M][1]>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error("The host did not answer.")), ANSWER_MS);
      this.#waiting.set(id, {
        resolve: (result) => (clearTimeout(late), resolve(result as Requests[M][1])),
        reject: (error) => (clearTimeout(late), reject(error)),
      });
      this.#post({ id, method, params });
    }).finally(() => this.#waiting.delete(id));
  }

  notify<M extends keyof Notifications>(method: M, params: Notifications[M]): void {
    this.#post({ method, params });
  }

  #post(message: object): void {
    window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  }

  #take(message: unknown): void {
    if (field(message, "jsonrpc") !== "2.0") return;
    const id = field(message, "id");
    const method = field(message, "method");
    if (typeof method !== "string") this.#settle(id, message);
    else if (id === undefined) this.on.get(method)?.(field(message, "params"));
    else this.#answer(id, method);
  }

  #settle(id: unknown, message: unknown): void {
    const waiting = typeof id === "number" ? this.#waiting.get(id) : undefined;
    const error = field(message, "error");
    if (error === undefined) waiting?.resolve(field(message, "result"));
    else waiting?.reject(new Error(raw(field(error, "message")) || "The host refused."));
  }

  #answer(id: unknown, method: string): void {
    const answer = this.answers.get(method);
    answer?.();
    const error = { code: METHOD_NOT_FOUND, message: `The card has no method ${method}.` };
    this.#post(answer ? { id, result: {} } : { id, error });
  }
}
