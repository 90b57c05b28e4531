/** The control plane under test, by its public API, with the memory settings of the command. */
import { once } from "node:events";
import net from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Duplex } from "node:stream";
import { createControlPlane } from "../../../src/index.ts";
import type { ControlPlane } from "../../../src/index.ts";
import { returnMemory } from "../../../src/cli/memory-return.ts";
import { setV8Flags } from "../../../src/cli/v8-flags.ts";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { FLOOD_TOKEN } from "../load/floods.ts";
import type { RequestResult } from "../load/requests.ts";
import { ADMIN_TOKEN, RUNNER } from "../names.ts";
import { percentile } from "../statistics.ts";
import { serve } from "./serve.ts";

export interface ControlPlaneCalls {
  /**
   * @param port 0 takes a free one
   * @param tls of the port; default plaintext
   * @param accessLog file of the access log; default none
   */
  listen(port: number, tls?: { cert: string; key: string }, accessLog?: string): Promise<number>;
  /** Resolves when as many runners are connected, to the milliseconds that it took since `listen()`. */
  untilConnected(count: number): Promise<number>;
  /** Milliseconds from `dial()` to the first byte that comes back, for each of `count` fresh streams to the echo. */
  dialAndEcho(count: number): Promise<number[]>;
  /** Fresh streams to an echo, as many at once; each is ended with its first byte and the next one opened. */
  dialFor(dials: Dials, durationMs: number): Promise<RequestResult>;
  /** The same by TCP to a port that relays to the echo. */
  connectAndEcho(count: number, port: number): Promise<number[]>;
  /** Begins to look for the worst memory and loop delay. */
  watch(): void;
  /** What was the worst since. */
  watched(): Watched;
}

export interface Dials {
  runner: string;
  target: string;
  atOnce: number;
}

export interface Watched {
  rssBytes: number;
  loopDelayMs: number;
}

const WATCH_MS = 100;

let controlPlane: ControlPlane;
let listeningAtMs = 0;

/** Kept from events: the list of thousands of runners costs more than their reconnects when it is read again and again. */
const connected = new Set<string>();

setV8Flags();
returnMemory();

const loopDelay = monitorEventLoopDelay({ resolution: 5 });
let watching: NodeJS.Timeout | undefined;
let maxRssBytes = 0;

serve({
  listen: async (port, tls, accessLog) => {
    controlPlane = await createControlPlane({
      port,
      ...(tls !== undefined && { tls }),
      accessLog,
      host: "127.0.0.1",
      adminToken: ADMIN_TOKEN,
      onEvent: (event) => {
        if (event.type === "connected") connected.add(event.runner);
        else if (event.type === "lost") connected.delete(event.runner);
      },
      tokens: [
        {
          id: "flood",
          kind: "user",
          sha256: hashToken(FLOOD_TOKEN),
          runners: [RUNNER, `${RUNNER}-absent-*`],
        },
      ],
    });
    listeningAtMs = performance.now();
    return controlPlane.port;
  },
  untilConnected: async (count) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setInterval(() => connected.size >= count && resolve(), 20);
    await promise;
    clearInterval(timer);
    return performance.now() - listeningAtMs;
  },
  dialAndEcho: (count) => echoes(count, () => controlPlane.dial(RUNNER, "echo")),
  dialFor: async ({ atOnce, ...to }, durationMs) => {
    const startedAt = performance.now();
    const untilMs = startedAt + durationMs;
    const lists = await Promise.all(Array.from({ length: atOnce }, () => dialUntil(to, untilMs)));
    const times = lists.flat();
    return {
      requests: times.length,
      perS: (times.length * 1_000) / (performance.now() - startedAt),
      p50Ms: percentile(times, 0.5),
      p99Ms: percentile(times, 0.99),
    };
  },
  connectAndEcho: (count, port) =>
    echoes(count, async () => {
      const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
      await once(socket, "connect");
      return socket;
    }),
  watch: () => {
    maxRssBytes = 0;
    loopDelay.reset();
    loopDelay.enable();
    watching = setInterval(() => {
      maxRssBytes = Math.max(maxRssBytes, process.memoryUsage.rss());
    }, WATCH_MS);
  },
  watched: () => {
    clearInterval(watching);
    loopDelay.disable();
    return {
      rssBytes: Math.max(maxRssBytes, process.memoryUsage.rss()),
      loopDelayMs: loopDelay.max / 1e6,
    };
  },
} satisfies ControlPlaneCalls);

async function echoes(count: number, open: () => Promise<Duplex>): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const startedAt = performance.now();
    const stream = await open();
    stream.write(Buffer.from("?"));
    await once(stream, "data");
    times.push(performance.now() - startedAt);
    stream.on("error", () => {});
    stream.end();
    await once(stream, "close");
    // An idle tunnel connection each time: what the last stream left behind is not this one's.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return times;
}

async function dialUntil(to: Omit<Dials, "atOnce">, untilMs: number): Promise<number[]> {
  const times: number[] = [];
  while (performance.now() < untilMs) {
    const startedAt = performance.now();
    const stream = await controlPlane.dial(to.runner, to.target);
    stream.on("error", () => {});
    stream.write(Buffer.from("?"));
    await once(stream, "data");
    times.push(performance.now() - startedAt);
    stream.destroy();
  }
  return times;
}
