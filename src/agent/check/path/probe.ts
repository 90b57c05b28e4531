/**
 * One carrier, tried as an agent would, without a registration: whoever responds to `/hello` with 204 and `Turnabout-Check`
 * only checks the way (docs/protocol.md). A control plane that does not know that refuses the connection.
 */
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import { toError, TurnaboutError } from "../../../wire/errors.ts";
import { AGENT_PATHS, HEADER } from "../../../wire/protocol.ts";
import type { Carrier, CarrierKind } from "../../../wire/session/carrier.ts";
import { parseGoaway, refusalCode } from "../../../wire/session/goaway.ts";
import type { Goaway } from "../../../wire/session/goaway.ts";
import { destroyHttp2Session } from "../../../wire/session/reversed-session.ts";
import { closeAfterResponse, hasEnded, resetStream } from "../../../wire/streams/end-stream.ts";
import { Guard } from "../../../wire/streams/guard.ts";
import { VERSION } from "../../../wire/version.ts";
import { dialCarrier } from "../../carriers/auto.ts";
import { refuse } from "../../streams/reach-target.ts";
import { refusedByAlert } from "../../transport/tls-errors.ts";
import { runnerIds } from "../context.ts";
import type { CheckContext } from "../context.ts";
import { inTime } from "../in-time.ts";
import { CHECK_CARRIER_TIMEOUT_MS } from "../limits.ts";

const PINGS = 3;

export interface CarrierWorks {
  /** From the dial to the control plane's consent. */
  ms: number;
  /** Of PING on the tunnel connection, the shortest. */
  roundTripMs: number;
}

/** @throws Error with the reason; TurnaboutError with the code of a refusal by the control plane */
export function probeCarrier(
  kind: CarrierKind,
  context: CheckContext,
  token: string | undefined,
): Promise<CarrierWorks> {
  const step = {
    label: kind,
    timeoutMs: Math.min(CHECK_CARRIER_TIMEOUT_MS, context.maxStepMs),
    signal: context.signal,
  };
  return inTime(step, (signal) => probe(kind, context, token, signal));
}

async function probe(
  kind: CarrierKind,
  context: CheckContext,
  token: string | undefined,
  signal: AbortSignal,
): Promise<CarrierWorks> {
  const { options, socketPath, url, zone } = context;
  const startedMs = performance.now();
  const headers = { [HEADER.version]: VERSION, [HEADER.check]: "1" };
  const end = Promise.withResolvers<Goaway | undefined>();
  const roundTrip = Promise.withResolvers<number | undefined>();
  let isHelloServed = false;
  const accept = (http2Session: ServerHttp2Session, { kind: carrier }: Carrier): void => {
    followEnd(http2Session, (goaway) => {
      end.resolve(goaway);
      roundTrip.resolve(undefined);
    });
    const routes: Routes = {
      runners: runnerIds(context.options),
      token: carrier === "rh2" ? token : undefined,
      // The control plane ends the connection behind `/hello`.
      beforeHello: roundTrip.promise,
      onHello: () => (isHelloServed = true),
    };
    http2Session.on("stream", (stream, fields) => serve(stream, fields, routes));
  };
  const dial = { url, zone, socketPath, tls: options, token, headers };
  let session: { carrier: Carrier; http2Session: ServerHttp2Session };
  try {
    session = await dialCarrier(kind, dial, accept, signal);
  } catch (cause) {
    throw refusedByAlert(cause) ?? toError(cause);
  }
  const { carrier, http2Session } = session;
  const stop = (): void =>
    destroyHttp2Session(http2Session, carrier.stream, new Error("the check has ended"));
  signal.addEventListener("abort", stop, { once: true });
  try {
    shortestPing(http2Session).then(roundTrip.resolve, () => roundTrip.resolve(undefined));
    const goaway = await end.promise;
    const isOlder = isHelloServed && refusalCode(goaway?.message ?? "") === "tunnel_protocol";
    if (goaway?.reason === "refused" && !isOlder) {
      throw new TurnaboutError(refusalCode(goaway.message), `${kind}: refused: ${goaway.message}`);
    }
    const roundTripMs = await roundTrip.promise;
    if (!isHelloServed || roundTripMs === undefined)
      throw new TurnaboutError("carrier_failed", `${kind}: closed before the agent was identified`);
    return { ms: performance.now() - startedMs, roundTripMs };
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

function followEnd(http2Session: ServerHttp2Session, onEnd: (goaway: Goaway | undefined) => void): void {
  http2Session.on("goaway", (code, _last, data) => {
    const goaway = parseGoaway(data);
    if (goaway !== undefined || code === constants.NGHTTP2_NO_ERROR) onEnd(goaway);
  });
  http2Session.once("close", () => onEnd(undefined));
}

/** What is served on the tunnel connection. */
interface Routes {
  runners: readonly string[];
  /** Undefined where it was sent in a field of the request. */
  token: string | undefined;
  beforeHello: Promise<unknown>;
  onHello(): void;
}

function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, routes: Routes): void {
  stream.on("error", () => {}); // permanently
  const guard = new Guard((error) => resetStream(stream, error));
  guard.run(async () => {
    stream.resume();
    const path = headers[":method"] === "GET" ? headers[":path"] : undefined;
    if (path === AGENT_PATHS.credential && routes.token !== undefined) return sendToken(stream, routes.token);
    if (path !== AGENT_PATHS.hello) return refuse(stream, "not_found");
    await routes.beforeHello;
    if (stream.destroyed || stream.closed) return undefined;
    routes.onHello();
    const fields = { [HEADER.version]: VERSION, [HEADER.check]: routes.runners.join(",") };
    stream.respond({ ":status": 204, ...fields }, { endStream: true });
    return closeAfterResponse(stream);
  });
}

function sendToken(stream: ServerHttp2Stream, token: string): void {
  const body = Buffer.from(JSON.stringify({ token }));
  const fields = {
    "content-type": "application/json",
    "content-length": body.length,
    "cache-control": "no-store",
  };
  stream.respond({ ":status": 200, ...fields });
  stream.end(body);
  closeAfterResponse(stream);
}

/** The first ones wait for what else begins. Undefined if the connection ends before. */
async function shortestPing(http2Session: ServerHttp2Session): Promise<number | undefined> {
  let shortestMs: number | undefined;
  for (let n = 0; n < PINGS; n += 1) {
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    if (hasEnded(http2Session)) return undefined;
    const onClose = (): void => resolve(undefined);
    http2Session.once("close", onClose);
    http2Session.ping((error, durationMs) => resolve(error === null ? durationMs : undefined));
    const durationMs = await promise;
    http2Session.off("close", onClose);
    if (durationMs === undefined) return undefined;
    shortestMs = Math.min(durationMs, shortestMs ?? durationMs);
  }
  return shortestMs;
}
