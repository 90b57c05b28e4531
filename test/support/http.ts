/** Plain requests without a pool, so that nothing stays open behind a test. */
import http from "node:http";
import https from "node:https";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { pause, within } from "./events.ts";
import { ADMIN_TOKEN } from "./system.ts";

export interface CallOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** PEM; for https. */
  ca?: string | undefined;
  /** Undefined: the admin's. Null: none. */
  token?: string | null;
  signal?: AbortSignal;
  timeoutMs?: number;
}

export interface HttpResponse {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** The response as soon as its header is there. The caller reads or destroys it. */
export async function open(url: string, options: CallOptions = {}): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const token = options.token === undefined ? ADMIN_TOKEN : options.token;
  const request = (url.startsWith("https:") ? https : http).request(url, {
    agent: false,
    method: options.method ?? "GET",
    headers: { ...(token !== null && { authorization: `Bearer ${token}` }), ...options.headers },
    ...(options.ca !== undefined && { ca: options.ca }),
    ...(options.signal !== undefined && { signal: options.signal }),
  });
  request.on("response", resolve);
  request.on("error", reject);
  request.end(options.body);
  return within(promise, `a response from ${url}`, options.timeoutMs);
}

/** The whole response. Rejects if it is cut short. */
export async function call(url: string, options: CallOptions = {}): Promise<HttpResponse> {
  const response = await open(url, options);
  return { status: response.statusCode ?? 0, headers: response.headers, body: await bodyOf(response) };
}

export async function bodyOf(response: IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response) text += chunk as string;
  return text;
}

/** `error.code` of one of our error bodies. */
export function errorCode(response: HttpResponse): string {
  return (JSON.parse(response.body) as { error: { code: string } }).error.code;
}

/** As in `GET /api/v1/runners`. */
export interface RunnerListing {
  id: string;
  state: string;
  carrier: string | null;
  waitingDials: number;
  bootEpoch: string | null;
  targets: { name: string; healthy: boolean }[];
  connections: { id: string; carrier: string; draining: boolean; streams: number }[];
}

export async function listRunners(url: string, options: CallOptions = {}): Promise<RunnerListing[]> {
  const { status, body } = await call(`${url}/api/v1/runners`, options);
  if (status !== 200) throw new Error(`GET /api/v1/runners: ${status} ${body}`);
  return (JSON.parse(body) as { runners: RunnerListing[] }).runners;
}

/** Asks again and again until the runners are as wanted: the listing has no event of its own. */
export async function runnersUntil(
  url: string,
  check: (runners: RunnerListing[]) => boolean,
  what: string,
  timeoutMs = 30_000,
): Promise<RunnerListing[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const runners = await listRunners(url);
    if (check(runners)) return runners;
    if (performance.now() > deadline) throw new Error(`${what}: still ${JSON.stringify(runners)}`);
    await pause();
  }
}

/** URL of a path of a target. */
export function targetUrl(url: string, runner: string, target: string, path = "/"): string {
  return `${url}/api/v1/runners/${runner}/targets/${target}${path}`;
}
