/** ALPN identifiers are bytes (RFC 7301 §6). node sends strings as UTF-8, and reports the selected one as latin1. */
import { PTTH_ALPN, REVERSED_ALPN } from "../protocol.ts";

/** @param selected `alpnProtocol` of a TLSSocket */
export function isReversedAlpn(selected: string | false | null): boolean {
  if (typeof selected !== "string") return false;
  const text = Buffer.from(selected, "latin1").toString("utf8");
  return (REVERSED_ALPN as readonly string[]).includes(text);
}

/** Whether a `ptth` request's `ALPN` field (RFC 7639) lists HTTP/2; a request without the field counts as if it did. */
export function offersHttp2(field: string | string[] | undefined): boolean {
  if (field === undefined) return true;
  const list = Array.isArray(field) ? field.join(",") : field;
  return list.split(",").some((id) => id.trim() === PTTH_ALPN);
}
