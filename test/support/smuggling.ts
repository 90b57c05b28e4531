/** Requests of which two servers in a row might disagree. What stands after one, asks for {@link SMUGGLED}. */
import { exchangeRaw } from "./raw-http.ts";
import { ADMIN_TOKEN, RUNNER, TARGET } from "./system.ts";
import { startHttpTarget } from "./target.ts";
import type { TestTarget } from "./target.ts";

export const API: string = `/api/v1/runners/${RUNNER}/targets/${TARGET}`;
/** Path of a request that nobody has made: whoever responds to it, or passes it on, has been fooled. */
export const SMUGGLED = "/smuggled";
export const AUTHORIZATION: string = `Authorization: Bearer ${ADMIN_TOKEN}\r\n`;

const SECOND = `GET ${API}${SMUGGLED} HTTP/1.1\r\nHost: cp.example\r\n${AUTHORIZATION}Connection: close\r\n\r\n`;

function get(path: string, fields: string): string {
  return `GET ${API}${path} HTTP/1.1\r\nHost: cp.example\r\n${AUTHORIZATION}${fields}Connection: close\r\n\r\n`;
}

function post(fields: string, body: string): string {
  return `POST ${API}/first HTTP/1.1\r\nHost: cp.example\r\n${AUTHORIZATION}${fields}\r\n${body}`;
}

/** A whole chunked body, and behind it what only a reader of the other length sees. */
const CHUNKED = `0\r\n\r\n${SECOND}`;

/** Whose response it is that a case expects: ours, without and with a proxy in front. */
export type Reader = "direct" | "nginx" | "haproxy";

/** `STATUS`, or `STATUS > REQUEST LINE AT THE TARGET`; several of either with commas; `-` for none. */
export interface SmugglingCase extends Readonly<Record<Reader, string>> {
  name: string;
  bytes: string;
}

export const SMUGGLING: readonly SmugglingCase[] = [
  {
    name: "Transfer-Encoding and Content-Length",
    bytes: post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", CHUNKED),
    direct: "400",
    nginx: "400",
    haproxy: "200 > POST /first",
  },
  {
    name: "Content-Length and Transfer-Encoding",
    bytes: post(`Content-Length: ${CHUNKED.length}\r\nTransfer-Encoding: chunked\r\n`, CHUNKED),
    direct: "400",
    nginx: "400",
    haproxy: "200 > POST /first",
  },
  {
    name: "two Content-Lengths that differ",
    bytes: post("Content-Length: 0\r\nContent-Length: 200\r\n", SECOND),
    direct: "400",
    nginx: "400",
    haproxy: "400",
  },
  {
    name: "two Content-Lengths that agree",
    bytes: post("Content-Length: 2\r\nContent-Length: 2\r\nConnection: close\r\n", "ok"),
    direct: "400",
    nginx: "400",
    haproxy: "200 > POST /first",
  },
  {
    name: "Content-Length: +5",
    bytes: post("Content-Length: +5\r\n", "hello"),
    direct: "400",
    nginx: "400",
    haproxy: "400",
  },
  {
    name: "Transfer-Encoding: xchunked",
    bytes: post("Transfer-Encoding: xchunked\r\n", CHUNKED),
    direct: "400",
    nginx: "501",
    haproxy: "400",
  },
  {
    name: "Transfer-Encoding: chunked, identity",
    bytes: post("Transfer-Encoding: chunked, identity\r\n", CHUNKED),
    direct: "400",
    nginx: "501",
    haproxy: "400",
  },
  {
    name: "two Transfer-Encodings",
    bytes: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", CHUNKED),
    direct: "400",
    nginx: "400",
    haproxy: "400",
  },
  {
    name: "Transfer-Encoding with a tab before the colon",
    bytes: post("Transfer-Encoding\t: chunked\r\n", CHUNKED),
    direct: "400",
    nginx: "400",
    haproxy: "400",
  },
  {
    name: "a chunk size with a bare LF",
    bytes: post("Transfer-Encoding: chunked\r\n", `2\nok\r\n${CHUNKED}`),
    direct: "400",
    nginx: "200,200 > POST /first,GET /smuggled",
    haproxy: "200,200 > POST /first,GET /smuggled",
  },
  {
    name: "a chunk longer than its size",
    bytes: post("Transfer-Encoding: chunked\r\n", `2\r\noks\r\n${CHUNKED}`),
    direct: "400",
    nginx: "400",
    haproxy: "400",
  },
  {
    name: "a folded field",
    bytes: get("/first", "X-Fold: a\r\n b\r\n"),
    direct: "400",
    nginx: "400",
    haproxy: "200 > GET /first",
  },
  {
    name: "a folded Transfer-Encoding",
    bytes: post("Transfer-Encoding:\r\n chunked\r\n", CHUNKED),
    direct: "400",
    nginx: "400",
    haproxy: "200,200 > POST /first,GET /smuggled",
  },
  {
    name: "lines that end in a bare LF",
    bytes: get("/first", "X-Line: a\nX-Next: b\r\n"),
    direct: "400",
    nginx: "200 > GET /first",
    haproxy: "200 > GET /first",
  },
  {
    name: "a bare CR in a value",
    bytes: get("/first", "X-Line: a\rX-Next: b\r\n"),
    direct: "400",
    nginx: "400",
    haproxy: "400",
  },
  {
    name: "NUL in a value",
    bytes: get("/first", "X-Nul: a\0b\r\n"),
    direct: "400",
    nginx: "400",
    haproxy: "400",
  },
  {
    name: "NUL in the path",
    bytes: get("/fi\0rst", ""),
    direct: "400",
    nginx: "400",
    haproxy: "400",
  },
  {
    name: "two Hosts",
    bytes: get("/first", "Host: other.example\r\n"),
    direct: "400",
    nginx: "400",
    haproxy: "400",
  },
  {
    name: "Upgrade: h2c with HTTP2-Settings",
    bytes: get(
      "/first",
      "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings\r\n",
    ),
    direct: "200 > GET /first",
    nginx: "200 > GET /first",
    haproxy: "200 > GET /first",
  },
  {
    name: "Upgrade: h2c, and HTTP/2 behind it",
    bytes: `${get("/first", "Upgrade: h2c\r\nConnection: Upgrade\r\n")}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
    direct: "200 > GET /first",
    nginx: "200 > GET /first",
    haproxy: "200 > GET /first",
  },
  {
    name: "an upgrade that is refused, and a request behind it",
    bytes: `GET ${API}/first HTTP/1.1\r\nHost: cp.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${SECOND}`,
    direct: "401",
    nginx: "401,200 > GET /smuggled",
    haproxy: "400",
  },
  {
    name: "an upgrade with a body",
    bytes: `GET ${API}/first HTTP/1.1\r\nHost: cp.example\r\n${AUTHORIZATION}Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: ${SECOND.length}\r\n\r\n${SECOND}`,
    direct: "400",
    nginx: "400",
    haproxy: "200 > GET /first",
  },
  {
    name: "CONNECT that is refused, and a request behind it",
    bytes: `CONNECT ${TARGET}.${RUNNER}:80 HTTP/1.1\r\nHost: ${TARGET}.${RUNNER}\r\n\r\n${SECOND}`,
    direct: "407",
    nginx: "400",
    haproxy: "407,200 > GET /smuggled",
  },
  {
    name: "absolute form with another Host, without a credential for the proxy",
    bytes: `GET http://${TARGET}.${RUNNER}/first HTTP/1.1\r\nHost: cp.example\r\n${AUTHORIZATION}Connection: close\r\n\r\n`,
    direct: "407",
    nginx: "404",
    haproxy: "400",
  },
  {
    name: "absolute form of our own name",
    bytes: `GET http://cp.example${API}/first HTTP/1.1\r\nHost: cp.example\r\n${AUTHORIZATION}Connection: close\r\n\r\n`,
    direct: "407",
    nginx: "200 > GET /first",
    haproxy: "407",
  },
  {
    name: "a request line with a second space",
    bytes: `GET  ${API}/first HTTP/1.1\r\nHost: cp.example\r\n${AUTHORIZATION}Connection: close\r\n\r\n`,
    direct: "200 > GET /first",
    nginx: "200 > GET /first",
    haproxy: "200 > GET /first",
  },
  {
    name: "a path that climbs out of a target",
    bytes: get("/../../../../../api/v1/tokens", ""),
    direct: "200 > GET /../../../../../api/v1/tokens",
    nginx: "200 > GET /../../../../../api/v1/tokens",
    haproxy: "200 > GET /../../../../../api/v1/tokens",
  },
  {
    name: "a path that climbs, encoded",
    bytes: get("/%2e%2e/%2e%2e/other/targets/x/;/%2f//%00", ""),
    direct: "200 > GET /%2e%2e/%2e%2e/other/targets/x/;/%2f//%00",
    nginx: "400",
    haproxy: "200 > GET /%2e%2e/%2e%2e/other/targets/x/;/%2f//%00",
  },
];

/** A target that keeps the request lines, and the names and values of all fields, that have reached it. */
export async function startWitness(): Promise<
  TestTarget & { readonly lines: string[]; readonly fields: string[] }
> {
  const lines: string[] = [];
  const fields: string[] = [];
  const target = await startHttpTarget((request, response) => {
    lines.push(`${request.method} ${request.url}`);
    fields.push(...request.rawHeaders);
    request.resume();
    response.end("ok");
  });
  return Object.assign(target, { lines, fields });
}

/** What becomes of these bytes, as a case writes it. */
export async function outcome(port: number, bytes: string, lines: string[], ca?: string): Promise<string> {
  lines.length = 0;
  const { statuses } = await exchangeRaw(port, bytes, { ca });
  const summary = statuses.join(",") || "-";
  return lines.length === 0 ? summary : `${summary} > ${lines.join(",")}`;
}
