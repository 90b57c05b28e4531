/** Trusted reverse proxies, and the client of a request as they report it. */
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { TurnaboutError } from "../../wire/errors.ts";
import { AddressSet, canonicalAddress } from "./addresses.ts";
import { FORWARDED_FIELDS, readForwarded } from "./forwarded.ts";
import type { ForwardedFields, ForwardedInfo, Scheme } from "./forwarded.ts";
import type { ProxyHeader } from "./proxy-protocol.ts";
import { adoptRequestId } from "./request-id.ts";

/**
 * `off`: a PROXY header is refused, as it is not HTTP. `allow`: a trusted proxy may send one. `require`: a trusted proxy
 * must send one. From any other address it is refused in every mode.
 */
export const PROXY_PROTOCOL_MODES = ["off", "allow", "require"] as const;
export type ProxyProtocolMode = (typeof PROXY_PROTOCOL_MODES)[number];

export interface TrustedProxiesOptions {
  /** Addresses and CIDR blocks. Default none. */
  trustedProxies?: readonly string[] | undefined;
  /** Default `off`. */
  proxyProtocol?: ProxyProtocolMode | undefined;
  /** Default `x-forwarded`. */
  forwardedFields?: ForwardedFields | undefined;
  /**
   * Also believe a trusted proxy's `X-Forwarded-Prefix`. Only for proxies that set or remove it on every request: most
   * proxies pass an unknown field on as the caller wrote it. Default false.
   */
  forwardedPrefix?: boolean | undefined;
}

/** The client of a request, as reported by trusted proxies, or the peer of the connection. */
export interface Client {
  /** In canonical spelling, for logs, limits and the target; `unknown` if the socket has none. */
  address: string;
  scheme: Scheme;
  /** Name and port that the client has used. */
  host: string | undefined;
  /** Path prefix that trusted proxies have removed; usually empty. */
  prefix: string;
  /** The request comes from a trusted proxy, on a connection that may carry requests of other clients, too. */
  isForwarded: boolean;
}

/** A socket, or its stand-in in an HTTP/2 request. */
type Peer = Pick<Socket, "remoteAddress" | "remotePort">;

/** The part of a request that names its client, on HTTP/1.1 or HTTP/2. */
interface ReceivedRequest {
  headers: IncomingHttpHeaders;
  socket: Peer;
}

const NOTHING: ForwardedInfo = { address: undefined, scheme: undefined, host: undefined, prefix: undefined };

export class TrustedProxies {
  readonly #trusted: AddressSet;
  readonly #mode: ProxyProtocolMode;
  readonly #fields: ForwardedFields;
  readonly #hasPrefix: boolean;
  /** By the peer's address and port, unique while its connection lives: TLS and HTTP/2 requests have other socket objects. */
  readonly #headers = new Map<string, ProxyHeader>();

  /** @throws TurnaboutError `config_invalid` */
  constructor(options: TrustedProxiesOptions) {
    this.#trusted = new AddressSet(options.trustedProxies ?? []);
    this.#mode = oneOf("proxy protocol", PROXY_PROTOCOL_MODES, options.proxyProtocol ?? "off");
    this.#fields = oneOf("forwarded fields", FORWARDED_FIELDS, options.forwardedFields ?? "x-forwarded");
    this.#hasPrefix = options.forwardedPrefix ?? false;
    if (this.#hasPrefix && (this.#trusted.isEmpty || this.#fields !== "x-forwarded")) {
      throw new TurnaboutError(
        "config_invalid",
        "forwarded prefix: name the trusted proxies that set X-Forwarded-Prefix, and leave the forwarded fields at x-forwarded",
      );
    }
    if (this.#mode === "off" || !this.#trusted.isEmpty) return;
    throw new TurnaboutError("config_invalid", "proxy protocol: name the trusted proxies that send it");
  }

  /** Whether a new connection may or must begin with a PROXY header. */
  headerMode(socket: Peer): ProxyProtocolMode {
    if (this.#mode === "off") return "off";
    return this.#trusted.has(socket.remoteAddress ?? "") ? this.#mode : "off";
  }

  /** Keeps the PROXY header of a connection until that closes. */
  setHeader(socket: Socket, header: ProxyHeader): void {
    const key = keyOf(socket);
    this.#headers.set(key, header);
    socket.once("close", () => {
      if (this.#headers.get(key) === header) this.#headers.delete(key);
    });
  }

  /** Address of the peer of a connection that carries no forwarded requests. */
  address(socket: Peer): string {
    return this.#header(socket)?.address ?? addressOf(socket);
  }

  /**
   * The address of a peer that has sent plaintext over a network; undefined for TLS, for a Unix socket, and for a trusted
   * proxy, which may have ended TLS.
   */
  plaintextAddress(socket: Peer): string | undefined {
    const header = this.#header(socket);
    if (header?.isSecure ?? "encrypted" in socket) return undefined;
    const address = header?.address ?? addressOf(socket);
    return address === "unknown" || this.#trusted.has(address) ? undefined : address;
  }

  client(request: ReceivedRequest): Client {
    const { headers, socket } = request;
    const header = this.#header(socket);
    const address = header?.address ?? addressOf(socket);
    // A PROXY header without an address: the proxy does not tell whose connection it is, so its fields are not believed.
    const isAnonymous = header !== undefined && header.address === undefined;
    const isTrusted = !isAnonymous && this.#trusted.has(address);
    const forwarded = isTrusted
      ? readForwarded(headers, this.#fields, (hop) => this.#trusted.has(hop))
      : NOTHING;
    if (isTrusted) adoptRequestId(request);
    const isSecure = header?.isSecure ?? "encrypted" in socket;
    const authority = (headers as { ":authority"?: string | undefined })[":authority"];
    return {
      address: forwarded.address ?? address,
      scheme: forwarded.scheme ?? (isSecure ? "https" : "http"),
      host: forwarded.host ?? authority ?? headers.host,
      prefix: this.#hasPrefix ? (forwarded.prefix ?? "") : "",
      isForwarded: isTrusted,
    };
  }

  #header(socket: Peer): ProxyHeader | undefined {
    return this.#headers.size === 0 ? undefined : this.#headers.get(keyOf(socket));
  }
}

function keyOf(socket: Peer): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

/** Canonical, because a listener on all addresses sees IPv4 callers as `::ffff:192.0.2.1`. */
function addressOf(socket: Peer): string {
  return canonicalAddress(socket.remoteAddress ?? "") ?? "unknown";
}

function oneOf<Value extends string>(what: string, values: readonly Value[], value: string): Value {
  const found = values.find((known) => known === value);
  if (found !== undefined) return found;
  throw new TurnaboutError("config_invalid", `${what} ${JSON.stringify(value)}: use ${values.join(", ")}`);
}
