/**
 * Wolf's side in a process of its own, so that it can be in a network of its own: the doubles of Wolf and Moonlight
 * Web, the streamer with its video, and the container runtime. It ends with the test that started it.
 */
import { createMoonlightDouble } from "../../../src/demo/moonlight/double.ts";
import { createWolfDouble } from "../../../src/demo/wolf/double.ts";
import type { HostResult, HostCall, HostCalls, HostOptions } from "./calls.ts";
import { ContainerRuntime } from "./runtime.ts";
import { createVideoPeers } from "./video-peer.ts";
import { testPicture } from "./test-picture.ts";

const options = JSON.parse(process.env["E2E_HOST"] ?? "") as HostOptions;
delete process.env["E2E_HOST"];
const log = (line: string): void => void process.stderr.write(`${line}\n`);

const stack = new AsyncDisposableStack();
const wolf = stack.use(await createWolfDouble({ socketPath: options.wolfSocket }));
const runtime = stack.adopt(
  await ContainerRuntime.start({
    wolfSocket: options.wolfSocket,
    sizeOf,
    network: options.sandboxNetwork,
    log,
  }),
  (it) => it.close(),
);
const video = stack.adopt(
  createVideoPeers(async (session) => {
    const [id] = /ses_[a-z0-9_]+/.exec(session) ?? [];
    // Moonlight Web's own page names its streams without a session.
    return id === undefined ? testPicture() : (await runtime.find(id)).capture();
  }),
  (it) => it.close(),
);
const moonlight = stack.use(
  await createMoonlightDouble({
    port: options.moonlightPort,
    credentials: options.credentials,
    dialect: options.dialect ?? "fork",
    ...(options.usernameField !== undefined && { usernameField: options.usernameField }),
    openPeer: video.openPeer,
  }),
);

const calls: HostCalls = {
  view: async () => ({
    wolf: {
      lobbies: wolf.state.lobbies.map(({ id, name, runner }) => ({ id, name, runner })),
      apps: wolf.state.apps.map(({ id }) => id),
      requests: wolf.requests.map(({ method, path }) => `${method} ${path}`),
      openConnections: wolf.openConnections,
    },
    moonlight: {
      port: moonlight.port,
      streams: [...moonlight.state.streams.keys()],
      openWebSockets: moonlight.openWebSockets,
      openConnections: moonlight.openConnections,
      requests: moonlight.requests.map(({ url, headers: { authorization, cookie } }) => ({
        url,
        authorization,
        cookie,
      })),
      controlFrames: moonlight.controlFrames.length,
      closes: moonlight.closes.map(({ code, isMasked }) => ({ code, isMasked })),
    },
    video: { openPeers: video.open, sentBytes: video.sentBytes },
    sandboxes: (await runtime.list()).map(({ view }) => view),
    stragglers: runtime.stragglers,
  }),
  proceed: async (session, stage) => (await runtime.find(session)).proceed(stage),
  run: async (session, command, runOptions) => (await runtime.find(session)).run(command, runOptions),
  settled: () => runtime.settled(),
};

process.on("message", (call: HostCall) => void respond(call));
process.once("disconnect", end);
process.once("SIGTERM", end);
send({ id: 0 });

async function respond({ id, method, args }: HostCall): Promise<void> {
  try {
    const call = calls[method] as (...args: unknown[]) => Promise<unknown>;
    send({ id, value: await call(...args) });
  } catch (error) {
    send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

function send(message: HostResult): void {
  // The test has ended.
  if (process.connected) process.send?.(message, () => {});
}

/** The lobby's size as requested: Wolf gives it to the compositor, not to the runner. */
function sizeOf(lobby: string): { width: number; height: number } {
  for (const { body } of wolf.requests.toReversed()) {
    if (body?.includes(`"name":"${lobby}"`) !== true) continue;
    const { video_settings } = JSON.parse(body) as { video_settings: { width: number; height: number } };
    return video_settings;
  }
  throw new Error(`lobby ${lobby} was not requested`);
}

function end(): void {
  process.off("disconnect", end);
  stack.disposeAsync().then(
    () => process.exit(0),
    (error: unknown) => {
      log(`Wolf's side did not close: ${String(error)}`);
      process.exit(1);
    },
  );
}
