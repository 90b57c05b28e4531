/** Reads a request the way Wolf does: a head up to the empty line, then `Content-Length` bytes, nothing else. */
import { GrowingBuffer } from "../../wire/streams/growing-buffer.ts";
import type { ByteReader } from "./byte-reader.ts";
import { MAX_BODY_BYTES, MAX_HEAD_BYTES } from "./limits.ts";

const END_OF_HEAD = "\r\n\r\n";

export type WolfMethod = "GET" | "POST" | "PUT" | "DELETE";

export interface RequestHead {
  method: WolfMethod;
  /** As sent; Wolf treats any method that it does not know as GET. */
  rawMethod: string;
  path: string;
  /** Without the `?`, undecoded: Wolf does not decode it either. */
  query: string;
  version: string;
  /** Names in lower case; of a repeated field the first is kept, as in Wolf. */
  headers: ReadonlyMap<string, string>;
}

export interface WolfRequest extends RequestHead {
  body: string;
}

/** Undefined if the peer has disconnected, or the head is invalid or too large: Wolf then closes without a response. */
export async function readHead(reader: ByteReader): Promise<RequestHead | undefined> {
  const held = new GrowingBuffer();
  let searched = 0;
  for (;;) {
    const bytes = held.view();
    const end = bytes.indexOf(END_OF_HEAD, searched);
    if (end !== -1) {
      reader.pushBack(bytes.subarray(end + END_OF_HEAD.length));
      return parseHead(bytes.toString("latin1", 0, end));
    }
    if (bytes.length > MAX_HEAD_BYTES) return undefined;
    searched = Math.max(0, bytes.length - END_OF_HEAD.length + 1);
    const chunk = await reader.next();
    if (chunk === undefined) return undefined;
    held.append(chunk);
  }
}

/** Undefined if the peer has disconnected before the last byte, or the body is too large. */
export async function readWholeBody(reader: ByteReader, length: number): Promise<string | undefined> {
  if (length > MAX_BODY_BYTES) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of reader.take(length)) {
    chunks.push(chunk);
    bytes += chunk.length;
  }
  return bytes === length ? Buffer.concat(chunks).toString("utf8") : undefined;
}

/** Undefined for an invalid value, at which Wolf throws; 0 without the field. */
export function contentLengthOf(head: RequestHead): number | undefined {
  const field = head.headers.get("content-length") ?? "0";
  return /^\d{1,15}$/.test(field) ? Number(field) : undefined;
}

function parseHead(text: string): RequestHead | undefined {
  const [requestLine = "", ...fields] = text.split("\r\n");
  const [rawMethod = "", target = "", version = ""] = requestLine.split(" ");
  if (!target.startsWith("/") || !version.startsWith("HTTP/")) return undefined;
  const headers = new Map<string, string>();
  for (const field of fields) {
    const colon = field.indexOf(":");
    if (colon < 1) return undefined;
    const name = field.slice(0, colon).toLowerCase();
    if (!headers.has(name)) headers.set(name, field.slice(colon + 1).trim());
  }
  const question = target.indexOf("?");
  return {
    method: methodOf(rawMethod),
    rawMethod,
    path: question === -1 ? target : target.slice(0, question),
    query: question === -1 ? "" : target.slice(question + 1),
    version: version.slice("HTTP/".length),
    headers,
  };
}

function methodOf(rawMethod: string): WolfMethod {
  switch (rawMethod) {
    case "POST":
    case "PUT":
    case "DELETE":
      return rawMethod;
    default:
      return "GET";
  }
}
