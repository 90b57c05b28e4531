/** A real Prometheus of its own, with compose/observability's rules and scrape configuration, made faster. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import { closedAtTheEnd } from "../../support/cleanup.ts";
import { within } from "../../support/events.ts";
import { OBSERVABILITY } from "../../support/observability.ts";
import { partPath } from "../../support/parts.ts";

export interface PrometheusOptions {
  /** HOST:PORT of the control plane. */
  controlPlane: string;
  token: string;
  /** Runners whose agents are scraped. */
  agents: readonly string[];
}

const samples = z.array(
  z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) }),
);

export type Samples = { metric: Record<string, string>; value: [atS: number, value: string] }[];

export interface Prometheus extends AsyncDisposable {
  /** An instant query. */
  query(promql: string): Promise<Samples>;
  /** Queries again and again until there are results. */
  queryUntil(promql: string, isEnough?: (found: Samples) => boolean): Promise<Samples>;
}

/** Scrapes and evaluates every half second; an alert waits for a second only. */
export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "turnabout-prometheus-"));
  const file = (name: string, text: string): string => {
    const whole = path.join(folder, name);
    writeFileSync(whole, text, { mode: 0o600 });
    return whole;
  };
  const token = file("token", options.token);
  const read = (name: string): string => readFileSync(path.join(OBSERVABILITY, name), "utf8");
  file("alerts.yaml", read("alerts.yaml").replaceAll(/^( +for:) .*$/gm, "$1 1s"));
  const configuration = read("prometheus.yml")
    .replaceAll("15s", "500ms")
    .replaceAll("scheme: https", "scheme: http")
    .replaceAll("/etc/prometheus/turnabout-admin.token", token)
    .replaceAll("[host-1, host-2]", JSON.stringify(options.agents))
    .replaceAll("tunnel.example.com", options.controlPlane);
  const child = spawn(
    partPath("prometheus"),
    [
      `--config.file=${file("prometheus.yml", configuration)}`,
      `--storage.tsdb.path=${path.join(folder, "data")}`,
      "--web.listen-address=127.0.0.1:0",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const close = closedAtTheEnd(async () => {
    const closed = once(child, "close");
    child.kill();
    await closed;
    rmSync(folder, { recursive: true, force: true });
  });
  const log: string[] = [];
  const { promise: listening, resolve } = Promise.withResolvers<string>();
  createInterface(child.stderr).on("line", (line) => {
    log.push(line);
    const [, address] = /msg="Listening on" address=(\S+)/.exec(line) ?? [];
    if (address !== undefined) resolve(address);
  });
  const address = await within(listening, "Prometheus' address").catch((error: unknown) => {
    throw new Error(log.join("\n"), { cause: error });
  });

  async function query(promql: string): Promise<Samples> {
    const response = await fetch(`http://${address}/api/v1/query?query=${encodeURIComponent(promql)}`);
    const body = z
      .object({ status: z.literal("success"), data: z.object({ result: z.unknown() }) })
      .parse(await response.json());
    return samples.parse(body.data.result);
  }

  return {
    query,
    async queryUntil(promql, isEnough = (found) => found.length > 0) {
      const deadline = performance.now() + 60_000;
      for (;;) {
        const found = await query(promql).catch((): Samples => []); // it refuses before it is ready
        if (isEnough(found)) return found;
        if (performance.now() > deadline)
          throw new Error(`${promql}: ${JSON.stringify(found)}\n${log.slice(-20).join("\n")}`);
        await new Promise((resolve) => void setTimeout(resolve, 100));
      }
    },
    [Symbol.asyncDispose]: close,
  };
}
