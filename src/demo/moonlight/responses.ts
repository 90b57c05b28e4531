/** Bodies of requests, and responses, as the real server's framework reads and writes them. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { MAX_BODY_BYTES } from "./limits.ts";

/** A request that is refused with 400 and a text: a body or a query that cannot be deserialized. */
export class BadRequest extends Error {
  override readonly name = "BadRequest";
}

export type Fields = Readonly<Record<string, unknown>>;

/** @throws BadRequest */
export async function readJson(request: IncomingMessage): Promise<Fields> {
  const type = request.headers["content-type"]?.split(";")[0]?.trim();
  const text = await readBody(request);
  if (type !== "application/json") throw new BadRequest("Content type error");
  const value = parsed(text);
  if (typeof value === "object" && value !== null) return { ...value };
  throw new BadRequest("Json deserialize error: expected value at line 1 column 1");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @throws BadRequest */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new BadRequest("Json payload is larger than allowed");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** A parameter that has to be there. @throws BadRequest */
export function parameter(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value === null) throw new BadRequest(`Query deserialize error: missing field \`${name}\``);
  return value;
}

/** A member that has to be there. @throws BadRequest */
export function member(body: Fields, name: string): unknown {
  const value = body[name];
  if (value === undefined) throw new BadRequest(`Json deserialize error: missing field \`${name}\``);
  return value;
}

export function json(response: ServerResponse, body: object): void {
  bytes(response, "application/json", Buffer.from(JSON.stringify(body)));
}

export function bytes(response: ServerResponse, type: string, body: Buffer): void {
  response.writeHead(200, { "content-type": type, "content-length": body.length }).end(body);
}

export function empty(response: ServerResponse, status: number): void {
  response.writeHead(status, { "content-length": 0 }).end();
}

export function text(response: ServerResponse, status: number, body: string): void {
  const headers = { "content-type": "text/plain; charset=utf-8", "content-length": Buffer.byteLength(body) };
  response.writeHead(status, headers).end(body);
}

/** An invalid URL, such as `//`, becomes a path without a route. */
export function urlOf(request: IncomingMessage): URL {
  const base = "http://moonlight.invalid";
  return URL.parse(request.url ?? "/", base) ?? new URL("/no-such-path", base);
}
