/** HTTP/2 frames of a hostile peer, and JSON that is almost right. */
import { encodeFrame, FLAG, FRAME } from "../support/http2-frames.ts";
import type { Field } from "../support/http2-frames.ts";
import type { Random } from "./random.ts";

const NAMES: readonly string[] = [
  ":status", ":status", ":path", ":method", "content-length", "content-type", "set-cookie", "location", "etag",
  "connection", "transfer-encoding", "proxy-status", "retry-after", "alpn", "te", "trailer", "X-Upper", "x y", "",
  "__proto__", "\x80", "turnabout-reconnect-spread", "sec-websocket-accept", "sec-websocket-extensions", "link",
]; // prettier-ignore
const VALUES: readonly string[] = [
  "", " ", "a", "200", "-1", "1e300", "99999999999999999999", "a\0b", "\x80\xff", "a\r\nb", "\t", "h2", "/x", "chunked",
  "turnabout; error=tunnel_lost", 'turnabout; error=x; details="y', "http://[::1", "x".repeat(100), "permessage-deflate",
]; // prettier-ignore
export const STATUSES: readonly string[] = [
  "200", "200", "200", "100", "101", "103", "204", "304", "401", "404", "431", "500", "502", "503", "504", "599", "600",
  "999", "0", "99", "1000", "2e2", "-200", "abc", "",
]; // prettier-ignore

export function someFields(random: Random, max: number): Field[] {
  return Array.from({ length: random.int(max) }, (): Field => [random.pick(NAMES), random.pick(VALUES)]);
}

/** HEADERS of literal fields of any length. */
export function headers(stream: number, fields: readonly Field[], endStream: boolean): Buffer {
  const block = fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]);
  const flags = FLAG.END_HEADERS | (endStream ? FLAG.END_STREAM : 0);
  return encodeFrame(FRAME.HEADERS, flags, stream, Buffer.concat(block));
}

/** RFC 7541 §5.2, without Huffman code. */
function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  const length = bytes.length < 127 ? [bytes.length] : [127];
  for (let rest = bytes.length - 127; rest >= 0; rest = rest < 128 ? -1 : rest >> 7) {
    length.push(rest < 128 ? rest : 128 | (rest & 127));
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** Any type, flags and payload, on a stream that may exist. */
export function anyFrame(random: Random, streams: readonly number[]): Buffer {
  const stream = random.chance(4) ? random.int(12) : random.pick([0, ...streams]);
  return encodeFrame(
    random.int(12),
    random.int(256),
    stream,
    Buffer.from(random.bytes(random.int(40)), "latin1"),
  );
}

const NUMBERS = [
  "0",
  "-1",
  "-0",
  "1.5",
  "1e300",
  "-1e300",
  "1e999",
  "9007199254740993",
  "8640000000000001",
  "NaN",
];

/** The text of a JSON value of any shape; now and then not quite JSON. */
export function anyJson(random: Random, depth = 3): string {
  switch (random.int(depth > 0 ? 9 : 6)) {
    case 0:
      return random.pick(NUMBERS);
    case 1:
      return random.pick(["true", "false", "null", "", "undefined"]);
    case 2:
      return JSON.stringify(random.bytes(random.int(12)));
    case 3:
      return JSON.stringify(
        random.pick(["x".repeat(100_000), "r", "*", "../..", "__proto__", "a.b", "\u0000", "\ud800"]),
      );
    case 4:
      return `${"[".repeat(random.int(3_000))}1${"]".repeat(random.int(3_000))}`;
    case 5:
      return random.pick(["{}", "[]", '""', '{"__proto__":{"a":1}}', '{"toString":1,"length":-1}']);
    case 6:
      return `[${Array.from({ length: random.int(5) }, () => anyJson(random, depth - 1)).join(",")}]`;
    default: {
      const members = Array.from({ length: random.int(5) }, () => {
        const name = random.pick(["id", "name", "targets", "type", "runner", "token", "a"]);
        return `${JSON.stringify(name)}:${anyJson(random, depth - 1)}`;
      });
      return `{${members.join(",")}}`;
    }
  }
}

/** An object of which some members are wrong. */
export function nearlyJson(random: Random, members: Readonly<Record<string, string>>, oneIn: number): string {
  const pairs = Object.entries(members).flatMap(([name, value]) => {
    if (random.chance(oneIn)) return random.chance(4) ? [] : [`${JSON.stringify(name)}:${anyJson(random)}`];
    return [`${JSON.stringify(name)}:${value}`];
  });
  return `{${pairs.join(",")}}`;
}
