/**
 * A response of server-sent events to one reader: it takes a place of its credential, ends with that credential, and holds up
 * no shutdown.
 */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Context } from "hono";
import { credentialHolder } from "../../shares/holders.ts";
import type { Shares } from "../../shares/shares.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { EventStream } from "./event-stream.ts";

export interface ReaderContext extends Pick<AppContext, "activeStreams" | "inFlight"> {
  shares: Pick<AppContext["shares"], "unread">;
}

export interface Reader {
  stream: EventStream;
  /** Ends it cleanly: its client may read again. */
  end: () => void;
}

export interface Subscription {
  /** Bytes that wait for the reader besides those of the stream. Default none. */
  heldBytes?: () => number;
  stop(): void;
}

/** @param subscribe begins to send. Not called for HEAD. */
export function openReader(
  c: Context<AppEnv>,
  { activeStreams, inFlight, shares }: ReaderContext,
  places: Shares,
  subscribe: (reader: Reader) => Subscription,
): Response {
  const identity = c.get("identity");
  const { incoming, outgoing } = c.env;
  const holder = credentialHolder(identity);
  const stops = [places.take(holder)];
  const stop = (): void => {
    for (const each of stops.splice(0)) each();
  };
  try {
    const end = (): void => stream.end();
    stops.push(activeStreams.add({ identity, isEndless: () => false, close: end }));
    const stream = new EventStream(outgoing);
    if (incoming.method === "HEAD") {
      outgoing.end();
      stop();
      return RESPONSE_ALREADY_SENT;
    }
    inFlight.yields("stream" in outgoing ? outgoing.stream : outgoing);
    const subscription = subscribe({ stream, end });
    stops.push(() => subscription.stop(), shares.unread.add(stream.delivery(holder, subscription.heldBytes)));
    stream.start(stop);
  } catch (error) {
    stop();
    throw error;
  }
  return RESPONSE_ALREADY_SENT;
}
