/** One exchange byte by byte over HTTP/1.1, and the same over HTTP/2: what a caller sees. */
import http2 from "node:http2";
import type { ClientHttp2Session, IncomingHttpHeaders } from "node:http2";
import net from "node:net";

const TIMEOUT_MS = 10_000;

export interface Request {
  method?: string;
  path?: string;
  fields?: readonly (readonly [string, string])[];
  body?: string;
  /** HTTP/1.1: chunked, with these trailers; HTTP/2: a body without a length. */
  trailers?: readonly (readonly [string, string])[];
  /** Acts on the connection when so many bytes of the response have come: leaves, for example. */
  onBytes?: (leave: () => void, text: string) => void;
}

export interface Response {
  /** 0: none. */
  status: number;
  reason: string;
  fields: readonly (readonly [string, string])[];
  body: string;
  trailers: readonly (readonly [string, string])[];
  informational: readonly number[];
  end: "complete" | "broken" | "open";
}

export const NONE: Response = {
  status: 0,
  reason: "",
  fields: [],
  body: "",
  trailers: [],
  informational: [],
  end: "open",
};

export function field({ fields }: Response, name: string): string | undefined {
  const values = fields.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(" + ");
}

export interface BytesOptions {
  method?: string;
  timeoutMs?: number;
  onBytes?: Request["onBytes"] | undefined;
  /** Ends the caller's half at once. */
  thenEnd?: boolean;
}

/** Sends the bytes, and reads until a whole response to `method` has come or the connection ends. */
export async function exchangeBytes(
  port: number,
  bytes: string,
  { method = "GET", timeoutMs = TIMEOUT_MS, onBytes, thenEnd = false }: BytesOptions = {},
): Promise<Response> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const { promise, resolve } = Promise.withResolvers<Response>();
  let text = "";
  const settle = (closed: "" | "end" | "reset"): void => {
    const response = parse(text, method, closed);
    if (closed !== "" || response.end === "complete") resolve(response);
  };
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    onBytes?.(() => socket.resetAndDestroy(), text);
    settle("");
  });
  socket.on("end", () => settle("end"));
  socket.on("error", () => settle("reset"));
  socket.on("close", () => settle("reset"));
  const timer = setTimeout(() => resolve(parse(text, method, "")), timeoutMs);
  socket.write(bytes, "latin1");
  if (thenEnd) socket.end();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function pairs(block: string): [string, string][] {
  return block
    .split(/\r?\n/)
    .filter((line) => line !== "")
    .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
}

export function parse(text: string, method: string, closed: "" | "end" | "reset"): Response {
  const informational: number[] = [];
  let rest = text;
  for (;;) {
    const match = /^HTTP\/1\.[01] (\d{3})([^\r\n]*)\r\n([\s\S]*?)\r\n(?:\r\n|(?=\r\n))/.exec(rest);
    const bare = /^HTTP\/1\.[01] (\d{3})([^\r\n]*)\r\n\r\n/.exec(rest);
    const head = bare ?? match;
    if (head === null) return { ...NONE, informational, end: closed === "" ? "open" : "broken" };
    const status = Number(head[1]);
    rest = rest.slice(head[0].length);
    if (status >= 200 || status === 101 || status < 100) {
      const fields = pairs(bare === null ? (head[3] ?? "") : "");
      const found = { ...NONE, status, reason: (head[2] ?? "").trim(), fields, informational };
      return { ...found, ...content(rest, found, method, closed) };
    }
    informational.push(status);
  }
}

function content(
  rest: string,
  head: Response,
  method: string,
  closed: "" | "end" | "reset",
): Pick<Response, "body" | "trailers" | "end"> {
  const bodyless = method === "HEAD" || [101, 204, 304].includes(head.status);
  if (bodyless) return { body: rest, trailers: [], end: "complete" };
  const unfinished = closed === "" ? "open" : "broken";
  if (/chunked/i.test(field(head, "transfer-encoding") ?? "")) {
    let body = "";
    let at = 0;
    for (;;) {
      const end = rest.indexOf("\r\n", at);
      const size = Number.parseInt(rest.slice(at, end), 16);
      if (end < 0 || Number.isNaN(size)) return { body, trailers: [], end: unfinished };
      if (size === 0) {
        const tail = rest.slice(end);
        const stop = tail.indexOf("\r\n\r\n");
        if (stop < 0) return { body, trailers: [], end: unfinished };
        return { body, trailers: pairs(tail.slice(0, stop)), end: "complete" };
      }
      body += rest.slice(end + 2, end + 2 + size);
      at = end + 2 + size + 2;
    }
  }
  const length = field(head, "content-length");
  if (length === undefined)
    return { body: rest, trailers: [], end: closed === "end" ? "complete" : unfinished };
  const body = rest.slice(0, Number(length));
  return { body: rest, trailers: [], end: body.length === Number(length) ? "complete" : unfinished };
}

/** A new HTTP/2 connection for each exchange would cost more than it says. */
export async function exchangeHttp2(
  session: ClientHttp2Session,
  { method = "GET", path = "/", fields = [], body, trailers, onBytes }: Request,
): Promise<Response> {
  const list = [":method", method, ":scheme", "http", ":authority", "proxy.example", ":path", path];
  for (const [name, value] of fields) list.push(name.toLowerCase(), value);
  if (body !== undefined && trailers === undefined) list.push("content-length", String(body.length));
  const hasBody = body !== undefined || trailers !== undefined;
  const stream = session.request(list, { endStream: !hasBody, waitForTrailers: trailers !== undefined });
  const { promise, resolve } = Promise.withResolvers<void>();
  const seen = { ...NONE, informational: [] as number[], fields: [] as [string, string][] };
  let trailing: [string, string][] = [];
  let ended = false;
  stream.on("error", () => {});
  stream.on("headers", ({ ":status": status = 0 }) => seen.informational.push(status));
  stream.on(
    "response",
    ({ ":status": status = 0 }: IncomingHttpHeaders & { ":status"?: number }, _flags, raw) => {
      seen.status = status;
      seen.fields = inPairs(raw);
      onBytes?.(() => stream.close(http2.constants.NGHTTP2_CANCEL), "");
    },
  );
  stream.on("trailers", (_fields, _flags, raw) => (trailing = inPairs(raw)));
  stream.on("data", (chunk: Buffer) => {
    seen.body += chunk.toString("latin1");
    onBytes?.(() => stream.close(http2.constants.NGHTTP2_CANCEL), seen.body);
  });
  stream.on("end", () => (ended = stream.rstCode === 0));
  stream.on("close", () => resolve());
  stream.on("wantTrailers", () => stream.sendTrailers(Object.fromEntries(trailers ?? [])));
  if (hasBody) stream.end(Buffer.from(body ?? "", "latin1"));
  const timer = setTimeout(resolve, TIMEOUT_MS);
  await promise;
  clearTimeout(timer);
  const end = stream.closed ? (ended && stream.rstCode === 0 ? "complete" : "broken") : "open";
  if (!stream.closed) stream.close(http2.constants.NGHTTP2_CANCEL);
  return { ...seen, trailers: trailing, end };
}

function inPairs(raw: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!(raw[i] ?? "").startsWith(":")) list.push([raw[i] ?? "", raw[i + 1] ?? ""]);
  }
  return list;
}
