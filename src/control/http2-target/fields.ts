/** Header fields between undici's form (a flat list, an object) and HTTP/2's header list. */
import type { IncomingHttpHeaders } from "node:http";
import { TurnaboutError } from "../../wire/errors.ts";
import { isHopByHop } from "../../wire/fields/http-fields.ts";
import { MAX_HEADER_BLOCK_BYTES, MAX_HEADER_PAIRS } from "../../wire/limits.ts";

export interface RequestHead {
  method: string;
  path: string;
  /** Flat list of names and values, `host` among them. */
  fields: readonly string[];
}

/**
 * A request's header list. `Host` becomes `:authority` (RFC 9113 §8.3.1); connection-specific fields are not
 * allowed in HTTP/2 (§8.2.2), except `TE: trailers`.
 *
 * @throws TurnaboutError `headers_too_large`: nghttp2 would close the whole connection, and with it other requests
 */
export function headerList({ method, path, fields }: RequestHead, maxBytes: number): string[] {
  const list = [":method", method, ":scheme", "http", ":authority", "", ":path", path];
  let bytes = 0;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = (fields[i] ?? "").toLowerCase();
    const value = fields[i + 1] ?? "";
    bytes += name.length + value.length + 32;
    if (name === "host") list[5] = value;
    else if (name === "te") {
      if (/(?:^|[,\s])trailers(?:$|[,;\s])/i.test(value)) list.push("te", "trailers");
    } else if (!isHopByHop(name)) list.push(name, value);
  }
  const limit = Math.min(maxBytes, MAX_HEADER_BLOCK_BYTES);
  if (bytes + path.length > limit || list.length / 2 >= MAX_HEADER_PAIRS) {
    const max = `${limit} bytes or ${MAX_HEADER_PAIRS} fields`;
    throw new TurnaboutError("headers_too_large", `more than ${max} of header for the target`);
  }
  return list;
}

/** Fields of a response or of trailers: a name that occurs more than once has a list, as in undici. */
export function fieldsOf(raw: readonly string[]): IncomingHttpHeaders {
  const fields: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    if (name.startsWith(":")) continue;
    const known = fields[name];
    if (known === undefined) fields[name] = value;
    else if (Array.isArray(known)) known.push(value);
    else fields[name] = [known, value];
  }
  return fields;
}

/** As in undici's `rawHeaders`. */
export function rawFields(raw: readonly string[]): Buffer[] {
  const list: Buffer[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    if (!name.startsWith(":"))
      list.push(Buffer.from(name, "latin1"), Buffer.from(raw[i + 1] ?? "", "latin1"));
  }
  return list;
}
