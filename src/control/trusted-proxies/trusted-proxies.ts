/** The proxies in front of us: whom we believe, and who the client of a request therefore is. */
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { TurnaboutError } from "../../wire/errors.ts";
import { AddressSet, canonicalAddress } from "./addresses.ts";
import { FORWARDED_FIELDS, readForwarded } from "./forwarded.ts";
import type { ForwardedFields, ForwardedInfo, Scheme } from "./forwarded.ts";
import type { ProxyHeader } from "./proxy-protocol.ts";

/**
 * `off`: a PROXY header is no HTTP, and refused. `allow`: a trusted proxy may send one. `require`: a trusted proxy must
 * send one. From any other address it is refused in each case.
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
   * A trusted proxy's `X-Forwarded-Prefix` counts, too. Only for proxies that set or remove it on every request: most
   * pass a field that they do not know on as the caller wrote it. Default false.
   */
  forwardedPrefix?: boolean | undefined;
}

/** Who has asked, as far as anybody whom we believe can tell. */
export interface Client {
  /** For logs and limits, and for the target. */
  address: string;
  scheme: Scheme;
  /** Name and port as the client knows us. */
  host: string | undefined;
  /** Path that trusted proxies have taken off the front of the request's path; usually empty. */
  prefix: string;
  /** A trusted proxy speaks for it, on a connection that it may use for others as well. */
  isForwarded: boolean;
}

/** A socket, or what stands for one in an HTTP/2 request. */
type Peer = Pick<Socket, "remoteAddress" | "remotePort">;

/** What of a request names its client, on HTTP/1.1 or HTTP/2. */
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
  /** By the peer's address and port, unique while its connection lives: TLS and HTTP/2 have socket objects of their own. */
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
    throw new TurnaboutError("config_invalid", "proxy protocol: name the trusted proxies that speak it");
  }

  /** Whether a new connection may, or must, begin with a PROXY header. */
  headerMode(socket: Peer): ProxyProtocolMode {
    if (this.#mode === "off") return "off";
    return this.#trusted.has(socket.remoteAddress ?? "") ? this.#mode : "off";
  }

  /** What a trusted proxy's PROXY header said, for as long as the connection lives. */
  setHeader(socket: Socket, header: ProxyHeader): void {
    const key = keyOf(socket);
    this.#headers.set(key, header);
    socket.once("close", () => {
      if (this.#headers.get(key) === header) this.#headers.delete(key);
    });
  }

  /** Address of the other end of a connection on which nobody forwards requests. */
  address(socket: Peer): string {
    return this.#header(socket)?.address ?? addressOf(socket);
  }

  client(request: ReceivedRequest): Client {
    const { headers, socket } = request;
    const header = this.#header(socket);
    const address = header?.address ?? addressOf(socket);
    // Behind a PROXY header speaks the client itself, or a front of its own: a front that does not say who, is not believed.
    const isFront = !(header !== undefined && header.address === undefined);
    const isTrusted = isFront && this.#trusted.has(address);
    const said = isTrusted ? readForwarded(headers, this.#fields, (hop) => this.#trusted.has(hop)) : NOTHING;
    const isSecure = header?.isSecure ?? "encrypted" in socket;
    const authority = (headers as { ":authority"?: string | undefined })[":authority"];
    return {
      address: said.address ?? address,
      scheme: said.scheme ?? (isSecure ? "https" : "http"),
      host: said.host ?? authority ?? headers.host,
      prefix: this.#hasPrefix ? (said.prefix ?? "") : "",
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

/** A listener on all addresses sees IPv4 callers as `::ffff:192.0.2.1`; nobody else writes them so. */
function addressOf(socket: Peer): string {
  return canonicalAddress(socket.remoteAddress ?? "") ?? "unknown";
}

function oneOf<Value extends string>(what: string, values: readonly Value[], value: string): Value {
  const found = values.find((known) => known === value);
  if (found !== undefined) return found;
  throw new TurnaboutError("config_invalid", `${what} ${JSON.stringify(value)}: use ${values.join(", ")}`);
}
