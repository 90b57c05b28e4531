/** Which outbound proxy the environment names for a URL: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, less NO_PROXY. */
import { getProxyForUrl } from "proxy-from-env";

/** Undefined for a direct way. A value without a scheme is an http proxy, as curl and Go take it. */
export function proxyFor(url: URL): URL | undefined {
  const found = getProxyForUrl(url.href);
  if (found === "") return undefined;
  const scheme = url.protocol.slice(0, -1);
  const names = [`${scheme}_proxy`, "all_proxy"].flatMap((name) => [name, name.toUpperCase()]);
  const written = names.map((name) => process.env[name] ?? "").find((value) => value !== "") ?? found;
  return new URL(written.includes("://") ? found : `http://${written}`);
}
