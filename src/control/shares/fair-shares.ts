/** All that credentials and client addresses share in one control plane. */
import { AnonymousCallers } from "./anonymous-callers.ts";
import { ContentTurns } from "./content-turns.ts";
import { ExchangeTurns } from "./exchange-turns.ts";
import {
  ACCESS_READERS_PER_CALLER,
  ACCESS_READERS_PER_OPERATOR,
  ANONYMOUS_BURST,
  ANONYMOUS_REQUESTS_PER_S,
  CALLER_STALL_MS,
  EVENT_READERS_PER_CALLER,
  EVENT_READERS_PER_OPERATOR,
  FAILED_CREDENTIALS_BURST,
  FAILED_CREDENTIALS_PER_S,
  MAX_ACCESS_READERS,
  MAX_EVENT_READERS,
  MAX_SIGN_INS,
  MAX_OPEN_STREAMS,
  MAX_UNKNOWN_RUNNERS,
  MAX_UNREAD_BYTES,
  OPEN_STREAMS_PER_CALLER,
  OPEN_STREAMS_PER_OPERATOR,
  SIGN_INS_PER_CALLER,
  SIGN_INS_PER_OPERATOR,
  UNKNOWN_RUNNERS_PER_CALLER,
  UNKNOWN_RUNNERS_PER_OPERATOR,
  UNREAD_BYTES_PER_CALLER,
  UNREAD_BYTES_PER_OPERATOR,
} from "./limits.ts";
import { LargeBodies } from "./large-bodies.ts";
import { Shares } from "./shares.ts";
import { UnreadBytes } from "./unread-bytes.ts";
import type { StallReason } from "./unread-bytes.ts";

export interface ShareOptions {
  /** Requests, WebSockets and tunnels of one user that are open at once; an admin may have four times as many. Default 4,096. */
  streamsPerCaller?: number | undefined;
  /** How long a caller may leave bytes unread that wait for it; 0: without limit. Default 60,000. */
  callerStallMs?: number | undefined;
  /** Bytes that may wait in memory for one user; an admin may have four times as many. Default 128 MiB. */
  unreadBytesPerCaller?: number | undefined;
  /**
   * Requests a second without a credential from one client address, ten times as many at once; a fifth of it with an invalid
   * one. 0: without limit. Default 100.
   */
  anonymousPerS?: number | undefined;
}

export interface FairShares {
  readonly openStreams: Shares;
  readonly eventReaders: Shares;
  readonly accessReaders: Shares;
  readonly signIns: Shares;
  readonly unknownRunners: Shares;
  readonly unread: UnreadBytes;
  readonly anonymous: AnonymousCallers;
  readonly turns: ExchangeTurns;
  readonly contentTurns: ContentTurns;
  readonly largeBodies: LargeBodies;
}

/** What serving a caller needs of it. */
export type CallerShares = Pick<FairShares, "anonymous" | "contentTurns" | "turns" | "unread">;

export interface ShareObserver {
  /** A holder was refused a place, or a request. */
  onRefused: (share: string) => void;
  /** A caller that did not read was ended. */
  onStop: (reason: StallReason) => void;
}

export function createFairShares(options: ShareOptions, { onRefused, onStop }: ShareObserver): FairShares {
  const streams = options.streamsPerCaller;
  const unreadBytes = options.unreadBytesPerCaller;
  return {
    openStreams: new Shares({
      what: "open streams",
      perHolder: streams ?? OPEN_STREAMS_PER_CALLER,
      perOperator: streams === undefined ? OPEN_STREAMS_PER_OPERATOR : 4 * streams,
      total: MAX_OPEN_STREAMS,
      onRefused: () => onRefused("open_streams"),
    }),
    eventReaders: new Shares({
      what: "readers of events",
      perHolder: EVENT_READERS_PER_CALLER,
      perOperator: EVENT_READERS_PER_OPERATOR,
      total: MAX_EVENT_READERS,
      onRefused: () => onRefused("event_readers"),
    }),
    accessReaders: new Shares({
      what: "readers of the access log",
      perHolder: ACCESS_READERS_PER_CALLER,
      perOperator: ACCESS_READERS_PER_OPERATOR,
      total: MAX_ACCESS_READERS,
      onRefused: () => onRefused("access_readers"),
    }),
    signIns: new Shares({
      what: "sign-ins",
      perHolder: SIGN_INS_PER_CALLER,
      perOperator: SIGN_INS_PER_OPERATOR,
      total: MAX_SIGN_INS,
      onRefused: () => onRefused("sign_ins"),
    }),
    unknownRunners: unknownRunnerShares(() => onRefused("unknown_runners")),
    unread: new UnreadBytes({
      stallMs: options.callerStallMs ?? CALLER_STALL_MS,
      perHolderBytes: unreadBytes ?? UNREAD_BYTES_PER_CALLER,
      perOperatorBytes: unreadBytes === undefined ? UNREAD_BYTES_PER_OPERATOR : 4 * unreadBytes,
      totalBytes: MAX_UNREAD_BYTES,
      onStop,
    }),
    anonymous: new AnonymousCallers({ ...anonymousRates(options.anonymousPerS), onRefused }),
    turns: new ExchangeTurns(),
    contentTurns: new ContentTurns(),
    largeBodies: new LargeBodies(() => onRefused("large_bodies")),
  };
}

/** Runners that have never connected, for which callers wait. */
export function unknownRunnerShares(onRefused?: () => void): Shares {
  return new Shares({
    what: "awaited runners that have never connected",
    perHolder: UNKNOWN_RUNNERS_PER_CALLER,
    perOperator: UNKNOWN_RUNNERS_PER_OPERATOR,
    total: MAX_UNKNOWN_RUNNERS,
    onRefused,
  });
}

function anonymousRates(perS: number | undefined) {
  if (perS === undefined) {
    return {
      requests: { perS: ANONYMOUS_REQUESTS_PER_S, burst: ANONYMOUS_BURST },
      failures: { perS: FAILED_CREDENTIALS_PER_S, burst: FAILED_CREDENTIALS_BURST },
    };
  }
  const rate = perS === 0 ? Infinity : perS;
  return {
    requests: { perS: rate, burst: 10 * rate },
    failures: { perS: rate / 5, burst: Math.max(1, 2 * rate) },
  };
}
