/** An honest caller beside a flood: requests at a steady rate, whatever becomes of the ones before. */
import http from "node:http";
import { percentile } from "../statistics.ts";

export interface ProbeOptions {
  port: number;
  path: string;
  token: string;
  perS: number;
}

export interface ProbeResult {
  requests: number;
  failed: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** A caller of ours gives up after this time. */
const TIMEOUT_MS = 10_000;
const CONNECTIONS = 8;

export async function probe(options: ProbeOptions, durationMs: number): Promise<ProbeResult> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const times: number[] = [];
  let failed = 0;
  const open: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let sent = 0; performance.now() - startedAt < durationMs; sent += 1) {
    const sentAt = performance.now();
    open.push(
      request(options, agent).then((isOk) => {
        times.push(performance.now() - sentAt);
        if (!isOk) failed += 1;
      }),
    );
    const nextAt = startedAt + ((sent + 1) * 1_000) / options.perS;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, nextAt - performance.now())));
  }
  await Promise.all(open);
  agent.destroy();
  return {
    requests: times.length,
    failed,
    p50Ms: percentile(times, 0.5),
    p99Ms: percentile(times, 0.99),
    maxMs: Math.max(...times),
  };
}

/** Whether the response was 200 and complete. */
async function request({ port, path, token }: ProbeOptions, agent: http.Agent): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const headers = { authorization: `Bearer ${token}` };
  const sent = http.get({ host: "127.0.0.1", port, path, headers, agent }, (response) => {
    response.resume();
    response.on("close", () => resolve(response.complete && response.statusCode === 200));
  });
  const timer = setTimeout(() => sent.destroy(new Error("no response")), TIMEOUT_MS);
  sent.on("error", () => resolve(false));
  sent.on("close", () => clearTimeout(timer));
  return promise;
}
