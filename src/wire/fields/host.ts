/** Syntax of a `Host` field (RFC 9110 §7.2): `uri-host [ ":" port ]` of RFC 3986 §3.2.2, but not empty. */

/** A DNS name has 253 characters; the rest is for brackets, a zone and a port. */
const MAX_HOST_LENGTH = 300;

const HOST = /^(?:\[[0-9a-z:.%_~-]+\]|[a-z0-9._~!$&'()*+;=%-]+)(?::\d{0,5})?$/i;

export function isHost(value: string): boolean {
  return value.length <= MAX_HOST_LENGTH && HOST.test(value);
}
