/** What a caller's request asks for, once it is routed and authorised; and what serving it needs. */
import type { Destination } from "../../wire/messages/names.ts";
import type { Logger } from "../../wire/log.ts";
import type { Pump } from "../../wire/streams/splice.ts";
import type { ActiveStreams } from "../auth/active-streams.ts";
import type { Identity } from "../auth/identity.ts";
import type { ProxyMode } from "../fields/header-fields.ts";
import type { Mount } from "../fields/mount.ts";
import type { ControlMetrics } from "../metrics.ts";
import type { Dialer } from "../registry/dialer.ts";
import type { CallerShares } from "../shares/fair-shares.ts";
import type { RefusalLog } from "../shares/refusal-log.ts";
import type { Client } from "../trusted-proxies/trusted-proxies.ts";

/** How the bytes of a WebSocket's caller get to the target; it may refuse them, which closes the WebSocket. */
export type CallerPump = (refuse: (close: { code: number; reason: string }) => void) => Pump;

/** What becomes of a target's final response before the caller gets it. */
export interface ResponseAmendment {
  /** May add, replace and remove fields of those that the caller gets. */
  fields?(fields: Record<string, string | string[]>, status: number): void;
  /** The whole content of a 200 is replaced by what this makes of it. */
  content?: ContentRewrite | undefined;
}

export interface ContentRewrite {
  /** Larger content is refused. */
  maxBytes: number;
  /** @param path of the route's mount, as the caller knows it. @throws TurnaboutError */
  rewrite(content: string, path: string): string;
}

/** The resource has another path (308): the route has no target. */
export interface Redirect {
  /** A reference relative to the request's URL. */
  redirect: string;
}

/** Where a route leads. */
export interface RoutedJob {
  destination: Destination;
  /** Path and query as the caller wrote them, not normalised. */
  path: string;
  mode: ProxyMode;
  /** `Host` for a target that is declared without one. */
  host: string;
  /** The caller: what it has opened is closed when its credential is revoked. */
  identity: Identity;
  /** The group of runners to which it belongs, if any: it is closed with the group. */
  group?: string | undefined;
  /** The target's own shared secret, added here and unknown to the caller. */
  credentials?: string | undefined;
  /** How paths of the route map to the target's. Without it the target's addresses are not rewritten. */
  mount?: Mount | undefined;
  /** The target may set cookies, limited to its route. */
  hasCookies?: boolean | undefined;
  /** Fields of the request that do not reach the target, besides those that hold a token of ours. */
  withheld?: ReadonlySet<string> | undefined;
  /** Default: the response is not changed beyond what holds for every target. */
  amend?: ResponseAmendment | undefined;
  /** Which of the caller's fields the target gets. Default: all that have no meaning for us. */
  passes?: ((name: string) => boolean) | undefined;
  /** Fields that we add, in lower case. Under these names the caller's own never pass. */
  added?: Readonly<Record<string, string>> | undefined;
  /** How the bytes of a WebSocket's caller get to the target. Default: unchanged. */
  fromCaller?: CallerPump | undefined;
  /** Called for a WebSocket with a valid handshake, before anything is opened. @throws TurnaboutError */
  admit?: (() => void) | undefined;
}

export interface ProxyJob extends RoutedJob {
  /** Address and scheme of the caller. */
  client: Client;
  /** A browser has sent the request by itself, and may show the response as a page: it must not get our origin. */
  isolated?: boolean | undefined;
}

export interface ProxyContext {
  dialer: Dialer;
  metrics: ControlMetrics;
  activeStreams: ActiveStreams;
  shares: CallerShares;
  log: Logger;
  /** For lines about failed requests. */
  refusalLog: RefusalLog;
  /** Default `RESPONSE_TIMEOUT_MS`. */
  responseTimeoutMs?: number | undefined;
}
