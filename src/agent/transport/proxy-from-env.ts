/**
 * The outbound proxy that the environment names for a URL: HTTPS_PROXY or HTTP_PROXY by the URL's scheme, then ALL_PROXY,
 * except for hosts in NO_PROXY. Upper case takes precedence over lower case, as in Go.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import { certificateName } from "../../wire/tls/server-name.ts";
import { hostAndPort } from "./server-url.ts";
import { bypassesProxy, isLoopback } from "./no-proxy.ts";
import { splitZone, withZone } from "../../wire/fields/url-zone.ts";

const DEFAULT_PORTS = { http: 80, https: 443, socks4: 1080, socks4a: 1080, socks5: 1080, socks5h: 1080 };
export type ProxyScheme = keyof typeof DEFAULT_PORTS;

export interface ProxyAddress {
  scheme: ProxyScheme;
  /** Name or address without brackets, for connect(). A link-local address has its zone. */
  host: string;
  port: number;
  /** `HOST:PORT` for log lines and URLs; without a credential. */
  label: string;
  username: string;
  password: string;
}

/**
 * Undefined for a direct connection. A value without a scheme is an http proxy.
 *
 * @throws TurnaboutError `config_invalid` naming the variable, never its value
 */
export function proxyFor(url: URL): ProxyAddress | undefined {
  const { host, port } = hostAndPort(url);
  const name = certificateName(host).toLowerCase();
  if (isLoopback(name)) return undefined;
  const found = variable(`${url.protocol.slice(0, -1)}_proxy`) ?? variable("all_proxy");
  if (found === undefined || bypassesProxy(variable("no_proxy")?.value ?? "", name, port)) return undefined;
  return parseProxy(found.value, found.name);
}

function variable(name: string): { name: string; value: string } | undefined {
  for (const spelling of [name.toUpperCase(), name]) {
    const value = process.env[spelling]?.trim() ?? "";
    if (value !== "") return { name: spelling, value };
  }
  return undefined;
}

function parseProxy(value: string, name: string): ProxyAddress {
  const { text, zone } = splitZone(value.includes("://") ? value : `http://${value}`);
  const [scheme = "", rest = ""] = text.split("://", 2);
  const known = scheme.toLowerCase();
  if (!isProxyScheme(known)) {
    throw new TurnaboutError("config_invalid", `${name}: use ${Object.keys(DEFAULT_PORTS).join("://, ")}://`);
  }
  // Parsed as an http URL, because `URL` does not check the hosts of other schemes. It drops port 80: see writtenPort().
  const url = URL.parse(`http://${rest}`);
  if (url === null || url.hostname === "") {
    throw new TurnaboutError("config_invalid", `${name}: use ${known}://[USER:PASSWORD@]HOST[:PORT]`);
  }
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = writtenPort(rest) ?? DEFAULT_PORTS[known];
  return {
    scheme: known,
    host: withZone(host, zone),
    port,
    label: `${url.hostname}:${port}`,
    username: decoded(url.username),
    password: decoded(url.password),
  };
}

function isProxyScheme(text: string): text is ProxyScheme {
  return Object.hasOwn(DEFAULT_PORTS, text);
}

function writtenPort(rest: string): number | undefined {
  const digits = /^(?:[^/?#]*@)?(?:\[[^\]]*\]|[^/?#:@]*):(\d+)(?:[/?#]|$)/.exec(rest)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** A password may contain a `%` that is not a percent-encoding. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
