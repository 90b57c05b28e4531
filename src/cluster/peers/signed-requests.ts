/**
 * Who has made a request, from the node that has authenticated the caller to the one that has the agent: a field that is signed with
 * the connection's key. It is bound to the connection by the key, to its place on it by a number that only rises, to the request by
 * method, protocol, authority and path, and to the moment by the time since the connection began. So none can be made up, moved to
 * another request, sent twice, or kept for later.
 *
 *     Turnabout-Peer: <number>.<milliseconds>.<base64url of JSON>.<MAC>
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { TurnaboutError } from "../../wire/errors.ts";
import { isRequestId } from "../../wire/messages/request-id.ts";
import { HEADER } from "../../wire/protocol.ts";
import type { RelayedRequester, StreamCause } from "../../control/cluster/cluster.ts";
import type { MacKey } from "./keys.ts";
import {
  CLOCK_TOLERANCE_MS,
  MAX_SIGNED_LENGTH,
  MAX_SIGNED_TEXT_LENGTH,
  SIGNED_VALIDITY_MS,
} from "./limits.ts";

const LABEL = "stream";
const FIELD = /^(\d{1,15})\.(\d{1,15})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})$/;

/** What it says. */
export interface SignedRequest {
  requestId: string | undefined;
  client: string | undefined;
  /** Undefined for a stream of the node itself, which may serve requests of several callers. */
  requester: RelayedRequester | undefined;
}

type Clock = () => number;

const monotonic: Clock = () => performance.now();

export class RequestSigner {
  readonly #key: MacKey;
  readonly #now: Clock;
  readonly #startedMs: number;
  #number = 0;

  constructor(key: MacKey, now: Clock = monotonic) {
    this.#key = key;
    this.#now = now;
    this.#startedMs = now();
  }

  /** For the request that is sent next on the connection. */
  sign(headers: OutgoingHttpHeaders, cause: StreamCause | undefined): string {
    this.#number += 1;
    const atMs = Math.max(0, Math.round(this.#now() - this.#startedMs));
    const payload = Buffer.from(JSON.stringify(statementOf(cause))).toString("base64url");
    const mac = this.#key.mac(LABEL, [String(this.#number), String(atMs), payload, ...boundTo(headers)]);
    return `${this.#number}.${atMs}.${payload}.${mac}`;
  }
}

/** Why a request was not accepted. `stale`: it may be one that has come late. */
export class NotSigned extends TurnaboutError {
  readonly isStale: boolean;

  constructor(what: string, isStale = false) {
    super("not_allowed", `peer: ${what}`);
    this.isStale = isStale;
  }
}

export class RequestVerifier {
  readonly #key: MacKey;
  readonly #now: Clock;
  readonly #startedMs: number;
  #lastNumber = 0;

  constructor(key: MacKey, now: Clock = monotonic) {
    this.#key = key;
    this.#now = now;
    this.#startedMs = now();
  }

  /** In the order in which requests arrive. @throws NotSigned */
  verify(headers: IncomingHttpHeaders): SignedRequest {
    const { [HEADER.peer]: value } = headers;
    if (typeof value !== "string" || value.length > MAX_SIGNED_LENGTH) throw new NotSigned("no signed field");
    const [, number = "", atMs = "", payload = "", mac = ""] = FIELD.exec(value) ?? [];
    if (!this.#key.verify(mac, LABEL, [number, atMs, payload, ...boundTo(headers)])) {
      throw new NotSigned("the field is not signed for this request with this connection's key");
    }
    if (Number(number) <= this.#lastNumber) throw new NotSigned("the signed field was sent before");
    this.#lastNumber = Number(number);
    const ageMs = this.#now() - this.#startedMs - Number(atMs);
    if (ageMs > SIGNED_VALIDITY_MS || ageMs < -CLOCK_TOLERANCE_MS) {
      throw new NotSigned(`the field was signed ${Math.round(ageMs)} ms ago`, true);
    }
    return parseStatement(payload);
  }
}

/** The request that a field is for. */
function boundTo(headers: IncomingHttpHeaders | OutgoingHttpHeaders): string[] {
  return [":method", ":protocol", ":authority", ":path"].map((name) => String(headers[name] ?? ""));
}

/** Texts that are too long for the field are cut, except where a cut one would mean something else. */
function statementOf(cause: StreamCause | undefined): Record<string, unknown> {
  if (cause === undefined) return {};
  const { id, client, requester } = cause;
  const { kind, fingerprint, owner } = requester ?? {};
  const statement = { id, client: client?.slice(0, MAX_SIGNED_TEXT_LENGTH) };
  if (requester === undefined || kind === undefined || fingerprint === undefined) return statement;
  for (const text of [requester.id, owner ?? ""]) {
    if (text.length > MAX_SIGNED_TEXT_LENGTH) {
      throw new TurnaboutError(
        "headers_too_large",
        "peer: the id of the credential, or its owner, is too long",
      );
    }
  }
  return { ...statement, requester: { id: requester.id, kind, owner, fingerprint } };
}

/** @throws NotSigned */
function parseStatement(payload: string): SignedRequest {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  } catch {
    throw new NotSigned("the signed field is no JSON");
  }
  const { id, client, requester } = recordOf(value);
  return {
    requestId: isRequestId(id) ? id : undefined,
    client: client === undefined ? undefined : textOf(client),
    requester: requester === undefined ? undefined : parseRequester(requester),
  };
}

/** @throws NotSigned */
function parseRequester(value: unknown): RelayedRequester {
  const { id, kind, owner, fingerprint } = recordOf(value);
  if (kind !== "admin" && kind !== "user" && kind !== "runner")
    throw new NotSigned("the signed field is not valid");
  return {
    id: textOf(id),
    kind,
    owner: owner === undefined ? undefined : textOf(owner),
    fingerprint: textOf(fingerprint),
  };
}

function recordOf(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw new NotSigned("the signed field is not valid");
  return value as Record<string, unknown>;
}

function textOf(value: unknown): string {
  if (typeof value === "string" && value.length <= MAX_SIGNED_TEXT_LENGTH) return value;
  throw new NotSigned("the signed field is not valid");
}
