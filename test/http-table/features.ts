/** What one feature is, and the words of a cell. */
import { field } from "./exchange.ts";
import type { Response } from "./exchange.ts";
import type { ReverseProxy } from "./reverse-proxies.ts";
import { fieldOf } from "./target.ts";
import type { Seen } from "./target.ts";

export interface Feature {
  name: string;
  /** Section of the standard, or who defines it. */
  rfc: string;
  /** In a few words, what this proxy does. Undefined: the feature does not exist there. */
  cell(proxy: ReverseProxy): Promise<string | undefined>;
  /** Where ours differs from nginx and from Go, or is worth a word. */
  why?: string;
}

/** Not a cell of HTTP/2: it is a matter of HTTP/1.1's syntax. */
export function http1(cell: (proxy: ReverseProxy) => Promise<string>): Feature["cell"] {
  return async (proxy) => (proxy.isHttp2 ? undefined : cell(proxy));
}

/** What the target got of a request field. */
export function requestField(name: string, value: string): Feature["cell"] {
  return async (proxy) => {
    const { seen } = await proxy.call({ fields: [[name, value]] }, OK_RESPONSE);
    return compared(fieldOf(seen, name.toLowerCase()), value, proxy);
  };
}

/** What the caller got of a response field. */
export function responseField(name: string, value: string): Feature["cell"] {
  return async (proxy) => {
    const { response } = await proxy.call({}, withFields(`${name}: ${value}\r\n`));
    return compared(field(response, name.toLowerCase()), value, proxy);
  };
}

/** The route takes its credential in another field as well, and leaves `Authorization` to the target. */
export function withoutBearer(head: string): string {
  return head.replace(/^Authorization: Bearer (.*)$/m, "X-Api-Key: $1");
}

export const OK_RESPONSE = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

export function withFields(fields: string, status = "200 OK"): string {
  return `HTTP/1.1 ${status}\r\n${fields}Content-Length: 2\r\n\r\nok`;
}

function compared(got: string | undefined, sent: string, proxy: ReverseProxy): string {
  if (got === undefined) return "dropped";
  return got === sent ? "passes" : quoted(got, proxy);
}

/** With what differs between proxies by name only replaced, and safe in a table. */
export function quoted(text: string, proxy: ReverseProxy): string {
  const prefix = proxy.at("");
  const plain = text
    .replaceAll(proxy.target.address, "TARGET")
    .replaceAll(`127.0.0.1:${proxy.port}`, "PROXY")
    .replaceAll(`${proxy.host}:${proxy.port}`, "PROXY")
    .replaceAll(proxy.host, "PROXY");
  const relative = prefix.startsWith("/") ? plain.replaceAll(prefix, "ROUTE") : plain;
  return `\`${relative
    .replaceAll("|", "\\|")
    .replaceAll(/[^\x20-\x7e]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`)}\``;
}

/** "200", "200, broken", "none". */
export function ended(response: Response): string {
  if (response.status === 0) return response.end === "broken" ? "connection closed" : "no response";
  return response.end === "complete"
    ? `${response.status}`
    : `${response.status}, ${response.end === "broken" ? "broken off" : "never ends"}`;
}

/** "passes" where the response came whole as the target sent it. */
export function passes(response: Response, status = 200, body = "ok"): string {
  const isWhole = response.status === status && response.end === "complete" && response.body === body;
  return isWhole ? "passes" : ended(response);
}

export function requestLine(seen: Seen | undefined): string {
  return seen?.head.split("\r\n", 1)[0] ?? "";
}

/** The target of the request line. */
export function requestTarget(seen: Seen | undefined): string | undefined {
  return seen === undefined ? undefined : requestLine(seen).split(" ")[1];
}
