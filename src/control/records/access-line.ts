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
    `{"time":"${isoTime(now)}","id":${quoted(record.id)},"way":"${record.way}"` +
    text("method", record.method) +
    (path === undefined ? "" : `,"path":${quoted(redactedPath(path))}`) +
    number("status", record.status) +
    text("code", record.code) +
    text("credential", requester?.id) +
    text("owner", requester?.owner) +
    text("client", record.client) +
    text("runner", record.runner) +
    text("target", record.target) +
    text("connection", record.connection) +
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
  const parts = path.slice(query + 1, query + 1 + ACCESS_LOG_MAX_PATH).split("&");
  const names = parts.map((part) => {
    const equals = part.indexOf("=");
    return equals < 0 ? "*" : `${part.slice(0, equals)}=*`;
  });
  const redacted = `${path.slice(0, query)}?${names.join("&")}`;
  return redacted.length > ACCESS_LOG_MAX_PATH ? cut(redacted) : redacted;
}

function cut(path: string): string {
  return `${path.slice(0, ACCESS_LOG_MAX_PATH)}…`;
}

function quoted(value: string): string {
  return PLAIN.test(value) ? `"${value}"` : JSON.stringify(value);
}

function text(name: string, value: string | undefined): string {
  if (value === undefined) return "";
  return `,"${name}":${quoted(value.length > ACCESS_LOG_MAX_TEXT ? value.slice(0, ACCESS_LOG_MAX_TEXT) : value)}`;
}

function number(name: string, value: number | undefined): string {
  return value === undefined ? "" : `,"${name}":${value}`;
}

/** In hundredths of a millisecond. */
function time(name: string, ms: number | undefined): string {
  return ms === undefined ? "" : `,"${name}":${Math.round(ms * 100) / 100}`;
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
