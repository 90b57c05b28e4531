/** Who may send a credential without TLS to a port that speaks TLS: anyone on the way could have read it. */
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { TurnaboutError } from "../../wire/errors.ts";
import { AddressSet } from "./addresses.ts";
import type { TrustedProxies } from "./trusted-proxies.ts";

const THIS_MACHINE = ["127.0.0.0/8", "::1"];

/** Field names, cookie and parameter that carry credentials: of ours and of targets. */
const CREDENTIAL_FIELDS = ["authorization", "proxy-authorization", "x-api-key"] as const;
const TOKEN_COOKIE = /(?:^|[;,])\s*access_token=/;
const TOKEN_PARAMETER = /[?&]access_token=/;
/** Its body is a credential. */
const SIGN_IN = /\/api\/v1\/sign-in\/?(?:\?|$)/;

interface PlaintextRequest {
  method?: string | undefined;
  headers: IncomingHttpHeaders;
  url?: string | undefined;
  socket: Pick<Socket, "remoteAddress" | "remotePort">;
}

export class PlaintextPolicy {
  readonly #proxies: TrustedProxies;
  readonly #networks: AddressSet;

  /** @param networks addresses and CIDR blocks, besides this machine. @throws TurnaboutError `config_invalid` */
  constructor(proxies: TrustedProxies, networks: readonly string[]) {
    this.#proxies = proxies;
    this.#networks = new AddressSet([...THIS_MACHINE, ...networks], "plain HTTP from");
  }

  /** The address that has sent a credential in plaintext and may not; undefined for every other request. */
  refusedAddress(request: PlaintextRequest): string | undefined {
    if (!hasCredential(request)) return undefined;
    const address = this.#proxies.plaintextAddress(request.socket);
    return address === undefined || this.#networks.has(address) ? undefined : address;
  }
}

function hasCredential({ method, headers, url = "" }: PlaintextRequest): boolean {
  return (
    CREDENTIAL_FIELDS.some((name) => headers[name] !== undefined) ||
    TOKEN_COOKIE.test(headers.cookie ?? "") ||
    TOKEN_PARAMETER.test(url) ||
    (method === "POST" && SIGN_IN.test(url))
  );
}

export function tlsRequired(address: string): TurnaboutError {
  return new TurnaboutError("tls_required", `a credential from ${address} without TLS`);
}
