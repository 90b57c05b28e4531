/** An agent whose streams a test responds to: our end of the HTTP/2 connection and `/hello`, and nothing of ours above. */
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { ControlPlane } from "../../src/control/control-plane.ts";
import type { Hello } from "../../src/wire/messages/hello.ts";
import { serveReversed } from "../../src/wire/session/reversed-session.ts";
import { endHttp2Session } from "../../src/wire/streams/end-stream.ts";
import { closedAtTheEnd } from "./cleanup.ts";
import { eventually } from "./events.ts";
import { dialCarrier } from "./frame-server.ts";
import { ADMIN_TOKEN, isConnected, RUNNER, TARGET } from "./system.ts";

/** A valid `/hello`, without runners unless they are given. */
export function createHello(own: Partial<Hello> = {}): Hello {
  return {
    protocol: 1,
    version: "0",
    instance: "i",
    bootEpochMs: 0,
    standby: false,
    capabilities: [],
    streamsPerTarget: 512,
    runners: [],
    ...own,
  };
}

export interface ScriptedAgentOptions {
  capabilities: string[];
  /** Default 512. */
  streamsPerTarget?: number;
  /** Every stream but the one for `/hello`. */
  onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
  /** Default {@link RUNNER}. */
  runner?: string;
  /** Default {@link TARGET}. */
  target?: string;
}

export interface ScriptedAgent extends AsyncDisposable {
  readonly session: ServerHttp2Session;
}

/** Resolves when its runner is connected. Disposed of, it is gone and the runner is not connected any more. */
export async function startScriptedAgent(
  controlPlane: ControlPlane,
  { capabilities, onStream, runner = RUNNER, target = TARGET, streamsPerTarget = 512 }: ScriptedAgentOptions,
): Promise<ScriptedAgent> {
  const { port } = controlPlane;
  const carrier = await dialCarrier({ port, token: ADMIN_TOKEN, carrier: "ptth", runner });
  const hello = createHello({
    capabilities,
    streamsPerTarget,
    runners: [{ id: runner, targets: [{ name: target, http: "auto" }] }],
  });
  const session = await serveReversed(carrier, (accepted: ServerHttp2Session) => {
    accepted.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      if (headers[":path"] !== "/hello") return onStream(stream, headers);
      stream.respond({ ":status": 200 });
      stream.end(JSON.stringify(hello));
    });
  });
  const close = closedAtTheEnd(async () => {
    if (carrier.closed) return;
    const closed = new Promise<void>((resolve) => void carrier.once("close", resolve));
    endHttp2Session(session, new Error("the test is over"));
    carrier.destroy();
    await closed;
  });
  await eventually(() => isConnected(controlPlane, runner), "registration");
  return {
    session,
    [Symbol.asyncDispose]: async () => {
      await close();
      await eventually(() => !isConnected(controlPlane, runner), "the loss of the agent");
    },
  };
}
