/** The sandbox between host and card: loads the card into a frame of its own, and hands on every other message. */

import type {
  McpUiSandboxProxyReadyNotification,
  McpUiSandboxResourceReadyNotification,
} from "@modelcontextprotocol/ext-apps";

const READY = "ui/notifications/sandbox-proxy-ready" satisfies McpUiSandboxProxyReadyNotification["method"];
const RESOURCE = "ui/notifications/sandbox-resource-ready" satisfies McpUiSandboxResourceReadyNotification["method"];

const card = document.createElement("iframe");
card.title = "Card";
document.body.append(card);

window.addEventListener("message", ({ source, data }) => {
  if (source === card.contentWindow) window.parent.postMessage(data, "*");
  else if (source === window.parent && data?.method === RESOURCE) {
    const { html, sandbox } = data.params as McpUiSandboxResourceReadyNotification["params"];
    card.setAttribute("sandbox", sandbox ?? "allow-scripts");
    card.srcdoc = html;
  } else if (source === window.parent) card.contentWindow?.postMessage(data, "*");
});
window.parent.postMessage({ jsonrpc: "2.0", method: READY, params: {} }, "*");
