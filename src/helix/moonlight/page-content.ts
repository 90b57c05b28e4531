/**
 * Contents of Moonlight Web that its page gets in another form: `config.js`, with the path at which the page is, and a host's
 * details without the addresses in the operator's network.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import { isObject, parseExactly } from "./exact-json.ts";

/** A module in Helix's fork and in version 2, a classic script in version 3: none of the two is the other. */
const FORMS: readonly RegExp[] = [/^export\s+default\b/, /^window\.__CONFIG_JS__\s*=/];

/**
 * `config.js` for a page below `path`. The page does not ask its viewer for Moonlight Web's secret, which we add.
 *
 * @throws TurnaboutError `target_protocol` where it has neither form
 */
export function pageConfig(text: string, path: string): string {
  const source = text.trim();
  for (const form of FORMS) {
    const [start] = form.exec(source) ?? [];
    if (start === undefined) continue;
    const own = membersOf(source.slice(start.length).trim());
    const config = { ...own, enable_credential_authentication: false, path_prefix: path };
    return `${start} ${JSON.stringify(config)}`;
  }
  throw new TurnaboutError("target_protocol", "moonlight: config.js has no known form");
}

/** Newer versions may have more. Without ours they would not work either, so what cannot be read is left out. */
function membersOf(text: string): Record<string, unknown> {
  try {
    const value = parseExactly(text.replace(/;$/, ""));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** Of the host in the operator's network. `mac` may be null, the others are texts. */
const ADDRESSES: Readonly<Record<string, string | null>> = { address: "", local_ip: "", mac: null };

/** `GET /api/host`. @throws TurnaboutError `target_protocol` for anything else than a host */
export function withoutAddresses(text: string): string {
  const body = parsed(text);
  const host = isObject(body) ? body["host"] : undefined;
  if (!isObject(body) || !isObject(host)) {
    throw new TurnaboutError("target_protocol", "moonlight: the host's details are no such object");
  }
  const hidden = Object.entries(ADDRESSES).filter(([name]) => Object.hasOwn(host, name));
  return JSON.stringify({ ...body, host: { ...host, ...Object.fromEntries(hidden) } });
}

function parsed(text: string): unknown {
  try {
    return parseExactly(text);
  } catch {
    return undefined;
  }
}
