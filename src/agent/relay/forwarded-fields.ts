/** The header fields of an agent's upgrade request, as the relay forwards them. */
import type { IncomingMessage } from "node:http";
import { connectionNominates, isHopByHop } from "../../wire/fields/http-fields.ts";
import { RELAY_NAME } from "../../wire/protocol.ts";
import { MAX_RELAY_HOPS } from "../limits.ts";

/** Fields that the relay writes itself, or that an agent has no authority for. */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
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
  /** `Host` of the control plane, as the relay dials it. */
  host: string;
  /** The upgrade token. */
  upgrade: string;
  /** Random id of this relay. */
  relayId: string;
  /** Address of the agent, undefined on a Unix socket. */
  peer: string | undefined;
}

/**
 * Names and values, alternating, as node takes them. End-to-end fields keep their spelling and order, including the agent's
 * `Authorization`; the relay adds only `Via` and `Forwarded`.
 */
export function forwardedFields({ rawHeaders, headers }: IncomingMessage, hop: Hop): string[] {
  const nominated = connectionNominates(headers.connection);
  const fields = ["Host", hop.host, "Connection", "Upgrade", "Upgrade", hop.upgrade];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [field = "", value = ""] = rawHeaders.slice(i, i + 2);
    const name = field.toLowerCase();
    if (isHopByHop(name) || nominated.has(name) || NOT_FORWARDED.has(name)) continue;
    fields.push(field, value);
  }
  fields.push("Via", list(headers.via, `1.1 ${RELAY_NAME}-${hop.relayId}`));
  fields.push("Forwarded", list(headers.forwarded, `for=${node(hop.peer)}`));
  return fields;
}

/** The request has passed this relay before, or more than {@link MAX_RELAY_HOPS} hops. */
export function isLoop({ headers }: IncomingMessage, relayId: string): boolean {
  const hops = (headers.via ?? "").split(",").filter((hop) => hop.trim() !== "");
  return hops.length >= MAX_RELAY_HOPS || hops.some((hop) => hop.includes(`${RELAY_NAME}-${relayId}`));
}

function list(before: string | undefined, own: string): string {
  return before === undefined || before.trim() === "" ? own : `${before}, ${own}`;
}

/** RFC 7239 §6: an IPv6 address in brackets and quotes; `unknown` without an address. */
function node(address: string | undefined): string {
  if (address === undefined || address === "") return "unknown";
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  return plain.includes(":") ? `"[${plain}]"` : plain;
}
