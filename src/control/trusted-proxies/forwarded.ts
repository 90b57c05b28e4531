/** Reads what trusted proxies report about the client in header fields: `X-Forwarded-*`, or `Forwarded` (RFC 7239). */
import type { IncomingHttpHeaders } from "node:http";
import parse from "forwarded-parse";
import { MAX_FORWARDED_HOPS, MAX_FORWARDED_PREFIX_LENGTH } from "../limits.ts";
import { canonicalAddress } from "./addresses.ts";

/** The fields that the trusted proxies write. The others come from the caller, and are ignored. */
export const FORWARDED_FIELDS = ["x-forwarded", "forwarded"] as const;
export type ForwardedFields = (typeof FORWARDED_FIELDS)[number];

export type Scheme = "http" | "https";

/** A member is undefined where the field does not give it. */
export interface ForwardedInfo {
  address: string | undefined;
  scheme: Scheme | undefined;
  host: string | undefined;
  /** Path prefix that the proxies have removed, without a slash at the end. The caller's claim where they do not set it. */
  prefix: string | undefined;
}

const NOTHING: ForwardedInfo = { address: undefined, scheme: undefined, host: undefined, prefix: undefined };

/** @param isTrusted whether an address is that of a trusted proxy */
export function readForwarded(
  headers: IncomingHttpHeaders,
  fields: ForwardedFields,
  isTrusted: (address: string) => boolean,
): ForwardedInfo {
  return fields === "forwarded" ? readRfc7239(headers, isTrusted) : readXForwarded(headers, isTrusted);
}

function readXForwarded(
  headers: IncomingHttpHeaders,
  isTrusted: (address: string) => boolean,
): ForwardedInfo {
  const hops = list(headers["x-forwarded-for"]).map((text) => ({ address: nodeAddress(text) }));
  return {
    address: firstUntrusted(hops, isTrusted)?.address,
    // The last value is that of the nearest proxy, which has passed on the one before it.
    scheme: schemeOf(list(headers["x-forwarded-proto"]).at(-1)),
    host: hostOf(list(headers["x-forwarded-host"]).at(-1)),
    prefix: prefixOf(list(headers["x-forwarded-prefix"])),
  };
}

function readRfc7239(headers: IncomingHttpHeaders, isTrusted: (address: string) => boolean): ForwardedInfo {
  const text = list(headers["forwarded"]).join(", ");
  if (text === "") return NOTHING;
  let elements: Record<string, string>[];
  try {
    elements = parse(text);
  } catch {
    return NOTHING;
  }
  const hops = elements.map((element) => ({ element, address: nodeAddress(element["for"] ?? "") }));
  const found = firstUntrusted(hops, isTrusted);
  return {
    address: found?.address,
    scheme: schemeOf(found?.element["proto"]),
    host: hostOf(found?.element["host"]),
    prefix: undefined, // RFC 7239 has none
  };
}

/**
 * From the right, where the nearest proxy has written, past trusted proxies to the first address that is not trusted. A
 * hop without an address (`unknown`, `_hidden`) ends the search: what is to its left cannot be verified.
 */
function firstUntrusted<Hop extends { address: string | undefined }>(
  hops: readonly Hop[],
  isTrusted: (address: string) => boolean,
): Hop | undefined {
  let found: Hop | undefined;
  for (const hop of hops.slice(-MAX_FORWARDED_HOPS).toReversed()) {
    if (hop.address === undefined) return found;
    found = hop;
    if (!isTrusted(hop.address)) return found;
  }
  return found;
}

function list(value: string | string[] | undefined): string[] {
  const text = Array.isArray(value) ? value.join(",") : (value ?? "");
  return text === "" ? [] : text.split(",").map((item) => item.trim());
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`, each IPv6 address with a zone if it has one */
function nodeAddress(text: string): string | undefined {
  const [, bracketed, plain] =
    /^\[([0-9a-f:.]+)(?:%[^\]]+)?\](?::\d{1,5})?$|^(\d+\.\d+\.\d+\.\d+)(?::\d{1,5})?$/i.exec(text) ?? [];
  return canonicalAddress(bracketed ?? plain ?? text);
}

function schemeOf(text: string | undefined): Scheme | undefined {
  const scheme = text?.toLowerCase();
  if (scheme === "https" || scheme === "wss") return "https";
  return scheme === "http" || scheme === "ws" ? "http" : undefined;
}

function hostOf(text: string | undefined): string | undefined {
  return text !== undefined && /^[\w.-]+(:\d{1,5})?$|^\[[0-9a-f:.]+\](:\d{1,5})?$/i.test(text)
    ? text
    : undefined;
}

/** Each proxy appends the prefix that it has removed, the outermost first. */
function prefixOf(texts: readonly string[]): string | undefined {
  const prefix = texts.map((text) => text.replace(/\/$/, "")).join("");
  const isPath = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)+$/.test(prefix);
  return isPath && prefix.length <= MAX_FORWARDED_PREFIX_LENGTH ? prefix : undefined;
}
