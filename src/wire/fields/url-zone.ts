/**
 * IPv6 zones in URLs: `http://[fe80::1%eth0]:8080`, or with `%25` as RFC 6874 wrote it. `URL` cannot hold them, so the
 * zone is removed before parsing and kept beside the URL. It has a meaning on this machine only (RFC 4007 §6): it is passed
 * to connect(), never into Host, SNI, a certificate check or a request to a proxy.
 */

export interface ZonedText {
  /** The URL without the zone. */
  text: string;
  zone: string | undefined;
}

const ZONED = /^((?:[a-z][a-z0-9+.-]*:\/\/)?(?:[^/?#]*@)?\[[0-9a-f:.]+)%(25)?([^\]\s/?#@]+)(\].*)$/is;

export function splitZone(text: string): ZonedText {
  const match = ZONED.exec(text);
  if (match === null) return { text, zone: undefined };
  const [, before = "", isEncoded, zone = "", after = ""] = match;
  return { text: before + after, zone: isEncoded === undefined ? zone : decode(zone) };
}

/** The host for connect(). */
export function withZone(host: string, zone: string | undefined): string {
  return zone === undefined ? host : `${host}%${zone}`;
}

function decode(zone: string): string {
  try {
    return decodeURIComponent(zone);
  } catch {
    return zone;
  }
}
