/**
 * A record as a line of the access log: one JSON object. Written by hand, because it is made for every request: JSON.stringify()
 * of an object takes three times as long.
 */
import { ACCESS_LOG_MAX_PATH, ACCESS_LOG_MAX_TEXT } from "./limits.ts";
import type { RequestRecord } from "./request-record.ts";

/** Of texts that JSON represents as they are. */
const PLAIN = /^[ !#-[\]-~]*$/;

/** @param now Unix time in milliseconds, of its end */
export function accessLine(record: RequestRecord, now: number): string {
  const { requester, path } = record;
  return (
    `{"time":"${isoTime(now)}","id":"${record.id}","way":"${record.way}"` +
    text("method", record.method) +
    (path === undefined ? "" : `,"path":${quoted(redactedPath(path))}`) +
    number("status", record.status) +
    name("code", record.code) +
    text("credential", requester?.id) +
    text("owner", requester?.owner) +
    name("client", record.client) +
    text("runner", record.runner) + // of a refused request it is what the caller wrote
    text("target", record.target) +
    name("connection", record.connection) +
    name("traceId", record.traceId ?? record.spans?.traceId) +
    `,"bytesIn":${record.bytesIn},"bytesOut":${record.bytesOut}` +
    time("queueMs", record.queueMs) +
    time("dialMs", record.dialMs) +
    time("firstByteMs", record.firstByteMs) +
    time("totalMs", record.totalMs) +
    "}\n"
  );
}

/** The values of a query may be secrets, and so may a part of it that has no name. */
export function redactedPath(path: string): string {
  const query = path.indexOf("?");
  if (query < 0) return path.length > ACCESS_LOG_MAX_PATH ? cut(path) : path;
  const end = Math.min(path.length, query + 1 + ACCESS_LOG_MAX_PATH);
  let redacted = path.slice(0, query);
  for (let from = query + 1; from <= end;) {
    const next = path.indexOf("&", from);
    const to = next < 0 || next > end ? end : next;
    const equals = path.indexOf("=", from);
    redacted += from === query + 1 ? "?" : "&";
    redacted += equals < 0 || equals >= to ? "*" : `${path.slice(from, equals)}=*`;
    from = to + 1;
  }
  return redacted.length > ACCESS_LOG_MAX_PATH ? cut(redacted) : redacted;
}

function cut(path: string): string {
  return `${path.slice(0, ACCESS_LOG_MAX_PATH)}…`;
}

function quoted(value: string): string {
  return PLAIN.test(value) ? `"${value}"` : JSON.stringify(value);
}

/** Of a closed alphabet, or made here: nothing in it needs quoting. */
function name(member: string, value: string | undefined): string {
  return value === undefined ? "" : `,"${member}":"${value}"`;
}

function text(member: string, value: string | undefined): string {
  if (value === undefined) return "";
  return `,"${member}":${quoted(value.length > ACCESS_LOG_MAX_TEXT ? value.slice(0, ACCESS_LOG_MAX_TEXT) : value)}`;
}

function number(member: string, value: number | undefined): string {
  return value === undefined ? "" : `,"${member}":${value}`;
}

/** In hundredths of a millisecond, by integers: a fraction takes several times as long to be written. */
function time(member: string, ms: number | undefined): string {
  if (ms === undefined) return "";
  const hundredths = Math.round(ms * 100);
  const whole = Math.floor(hundredths / 100);
  const rest = hundredths - whole * 100;
  return `,"${member}":${whole}.${rest < 10 ? "0" : ""}${rest}`;
}

let second = -1;
let secondText = "";

/** The same as `toISOString()`, made once a second but for the milliseconds. */
function isoTime(now: number): string {
  const whole = Math.floor(now / 1_000);
  if (whole !== second) {
    second = whole;
    secondText = new Date(whole * 1_000).toISOString().slice(0, -4);
  }
  return `${secondText}${String(1_000 + Math.floor(now - whole * 1_000)).slice(1)}Z`;
}
