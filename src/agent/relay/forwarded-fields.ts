/** The upgrade request of an agent behind a relay, as the relay sends it on. */
import type { IncomingMessage } from "node:http";
import { connectionNominates, isHopByHop } from "../../wire/fields/http-fields.ts";
import { RELAY_NAME } from "../../wire/protocol.ts";
import { MAX_RELAY_HOPS } from "../limits.ts";

/** What a hop before us could only have made up, and what is ours to say. */
const NOT_PASSED: ReadonlySet<string> = new Set([
  "content-length",
  "expect",
  "forwarded",
  "host",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-real-ip",
]);

export interface Hop {
  /** Of the control plane, as the relay reaches it. */
  host: string;
  /** The upgrade token. */
  upgrade: string;
  /** Random id of this relay. */
  relayId: string;
  /** Address of the agent, undefined on a Unix socket. */
  peer: string | undefined;
}

/**
 * Names and values in turn, as node takes them: everything end to end with its spelling and order, the agent's own
 * `Authorization` included, and nothing of the relay's but `Via` and `Forwarded`.
 */
export function forwardedFields({ rawHeaders, headers }: IncomingMessage, hop: Hop): string[] {
  const nominated = connectionNominates(headers.connection);
  const fields = ["Host", hop.host, "Connection", "Upgrade", "Upgrade", hop.upgrade];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [field = "", value = ""] = rawHeaders.slice(i, i + 2);
    const name = field.toLowerCase();
    if (isHopByHop(name) || nominated.has(name) || NOT_PASSED.has(name)) continue;
    fields.push(field, value);
  }
  fields.push("Via", list(headers.via, `1.1 ${RELAY_NAME}-${hop.relayId}`));
  fields.push("Forwarded", list(headers.forwarded, `for=${node(hop.peer)}`));
  return fields;
}

/** It has been here before, or has passed more hops than any sane path has. */
export function isLoop({ headers }: IncomingMessage, relayId: string): boolean {
  const hops = (headers.via ?? "").split(",").filter((hop) => hop.trim() !== "");
  return hops.length >= MAX_RELAY_HOPS || hops.some((hop) => hop.includes(`${RELAY_NAME}-${relayId}`));
}

function list(before: string | undefined, own: string): string {
  return before === undefined || before.trim() === "" ? own : `${before}, ${own}`;
}

/** RFC 7239 §6: an IPv6 address in brackets and quotes; `unknown` where there is none. */
function node(address: string | undefined): string {
  if (address === undefined || address === "") return "unknown";
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  return plain.includes(":") ? `"[${plain}]"` : plain;
}
