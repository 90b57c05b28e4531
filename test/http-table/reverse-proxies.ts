/** What the table compares: nginx, Go's ReverseProxy, and Turnabout in three ways, all in front of one raw target. */
import http2 from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { next } from "../support/events.ts";
import { ADMIN_TOKEN, startSystem } from "../support/system.ts";
import { startHttp2Target } from "../support/target.ts";
import { exchangeBytes, exchangeHttp2 } from "./exchange.ts";
import type { Request, Response } from "./exchange.ts";
import type { Http2Proxy, OnStream } from "./http2.ts";
import { isPresent, startGo, startNginx } from "./programs.ts";
import { startTableTarget } from "./target.ts";
import type { TargetResponse, Seen, TableTarget } from "./target.ts";

export const COLUMNS = ["nginx", "Go", "route, HTTP/1.1", "route, HTTP/2", "forward proxy"] as const;
export type Column = (typeof COLUMNS)[number];

export interface Outcome {
  response: Response;
  /** The last request at the target. */
  seen: Seen | undefined;
}

export interface ReverseProxy {
  readonly column: Column;
  readonly isOurs: boolean;
  readonly isHttp2: boolean;
  readonly target: TableTarget;
  readonly port: number;
  /** `Host` of requests to it. */
  readonly host: string;
  /** Path or URI under which the target's `path` is reached. */
  at(path: string): string;
  /** Request line and the fields without which this proxy refuses, each with CRLF; more may follow, and an empty line. */
  head(method: string, path: string, version?: string): string;
  call(request: Request, scripted: TargetResponse, early?: boolean): Promise<Outcome>;
  /** A GET whose caller ends its half at once; not on HTTP/2. */
  halfClosed(scripted: TargetResponse): Promise<Outcome>;
  /** Bytes as they are; not on HTTP/2. */
  send(bytes: string, scripted: TargetResponse, method?: string, early?: boolean): Promise<Outcome>;
}

interface ProxyParts {
  column: Column;
  target: TableTarget;
  port: number;
  prefix: string;
  host: string;
  own: readonly (readonly [string, string])[];
  session?: ClientHttp2Session;
}

function makeProxy({ column, target, port, prefix, host, own, session }: ProxyParts): ReverseProxy {
  const isOurs = column !== "nginx" && column !== "Go";
  // What never responds is waited for; ours always responds, however slow the machine is.
  const timeoutMs = isOurs ? 10_000 : 1_000;
  const at = (to: string): string => `${prefix}${to}`;
  const lines = own.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = (method: string, to: string, version = "HTTP/1.1"): string =>
    `${method} ${at(to)} ${version}\r\nHost: ${host}\r\n${lines}`;
  const send: ReverseProxy["send"] = async (bytes, scripted, method = "GET", early = false) => {
    target.expect(scripted, early);
    const response = await exchangeBytes(port, bytes, { method, timeoutMs });
    return { response, seen: target.seen.at(-1) };
  };
  const halfClosed: ReverseProxy["halfClosed"] = async (scripted) => {
    target.expect(scripted);
    const response = await exchangeBytes(port, `${head("GET", "/")}\r\n`, { thenEnd: true, timeoutMs });
    return { response, seen: target.seen.at(-1) };
  };
  const call: ReverseProxy["call"] = async (request, scripted, early = false) => {
    target.expect(scripted, early);
    if (session !== undefined) {
      const fields = [...own, ...(request.fields ?? [])];
      const response = await exchangeHttp2(session, { ...request, path: at(request.path ?? "/"), fields });
      return { response, seen: target.seen.at(-1) };
    }
    const { method = "GET", path: to = "/", fields = [], body, trailers, onBytes } = request;
    const given = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    let framing = "";
    let content = body ?? "";
    if (trailers !== undefined) {
      framing = "Transfer-Encoding: chunked\r\n";
      const chunk = content === "" ? "" : `${content.length.toString(16)}\r\n${content}\r\n`;
      content = `${chunk}0\r\n${trailers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
    } else if (body !== undefined) framing = `Content-Length: ${content.length}\r\n`;
    const bytes = `${head(method, to)}${given}${framing}\r\n${content}`;
    const response = await exchangeBytes(port, bytes, { method, onBytes, timeoutMs });
    return { response, seen: target.seen.at(-1) };
  };
  return {
    column,
    isOurs,
    isHttp2: session !== undefined,
    target,
    port,
    host,
    at,
    head,
    call,
    send,
    halfClosed,
  };
}

export interface ReverseProxies extends AsyncDisposable {
  readonly proxies: readonly ReverseProxy[];
  /** In front of targets that speak HTTP/2. */
  readonly http2: readonly Http2Proxy[];
}

async function startHttp2Stand(): Promise<Http2Proxy["target"]> {
  const behaviour: { onStream: OnStream } = { onStream: (stream) => stream.close() };
  const target = await startHttp2Target((stream, _headers, raw) => behaviour.onStream(stream, raw));
  return { ...target, behaviour };
}

/** Everything that was started ends with it, also where a later part fails to start. */
export async function startProxies(): Promise<ReverseProxies> {
  await using stack = new AsyncDisposableStack();
  // One target for each proxy: they are measured side by side.
  const http1Target = async (): Promise<TableTarget> => stack.use(await startTableTarget());
  const http2Target = async (): Promise<Http2Proxy["target"]> => stack.use(await startHttp2Stand());
  const connect = async (to: number): Promise<ClientHttp2Session> => {
    const session = http2.connect(`http://127.0.0.1:${to}`);
    session.on("error", () => {}); // permanent
    stack.defer(async () => {
      if (session.destroyed) return;
      const closed = next(session, "close");
      session.destroy();
      await closed;
    });
    await next(session, "remoteSettings");
    return session;
  };
  const proxies: ReverseProxy[] = [];
  const http2Proxies: Http2Proxy[] = [];
  const host = "proxy.example";
  for (const [column, start] of [
    ["nginx", startNginx],
    ["Go", startGo],
  ] as const) {
    if (!isPresent[column]()) continue;
    const [target, other] = [await http1Target(), await http2Target()];
    const program = await start({ http1: target.address, http2: other.address });
    stack.defer(() => program.stop());
    proxies.push(makeProxy({ column, target, port: program.http1Port, prefix: "/route", host, own: [] }));
    const prefix = column === "Go" ? "/route" : ""; // grpc_pass takes no path
    http2Proxies.push({ column, port: program.http2Port, target: other, prefix, own: [] });
  }
  const [one, two, proxied, grpc] = [
    await http1Target(),
    await http1Target(),
    await http1Target(),
    await http2Target(),
  ];
  const system = await startSystem({ target: one, agents: 0, controlPlane: { responseTimeoutMs: 5_000 } });
  stack.use(system);
  await system.addAgent({
    r: { one: one.address, two: two.address, proxied: proxied.address, grpc: `${grpc.address};http=2` },
  });
  const { port } = system.controlPlane;
  const session = await connect(port);
  const route = "/api/v1/runners/r/targets";
  const own = [["Authorization", `Bearer ${ADMIN_TOKEN}`]] as const;
  const proxyOwn = [["Proxy-Authorization", `Bearer ${ADMIN_TOKEN}`]] as const;
  const ours = { port, host, own };
  proxies.push(
    makeProxy({ ...ours, column: "route, HTTP/1.1", target: one, prefix: `${route}/one` }),
    makeProxy({ ...ours, column: "route, HTTP/2", target: two, prefix: `${route}/two`, session }),
    makeProxy({
      column: "forward proxy",
      target: proxied,
      port,
      host: "proxied.r",
      prefix: "http://proxied.r",
      own: proxyOwn,
    }),
  );
  http2Proxies.push({ column: "route, HTTP/2", port, target: grpc, prefix: `${route}/grpc`, own });
  const all = stack.move();
  return { proxies, http2: http2Proxies, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
