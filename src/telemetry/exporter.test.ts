import assert from "node:assert/strict";
import { it } from "node:test";
import { startOtlpReceiver } from "../../test/support/otlp-receiver.ts";
import { keptLog } from "../../test/support/agents.ts";
import { eventually } from "../../test/support/events.ts";
import { refusingAddress } from "../../test/support/target.ts";
import { TurnaboutError } from "../wire/errors.ts";
import type { Tracing } from "../wire/trace/tracing.ts";
import { batchLimits, isTraced, samplerChoice } from "./environment.ts";
import { startTelemetry } from "./exporter.ts";
import type { Telemetry } from "./exporter.ts";

const QUEUE = 64;
const BATCH = 16;

async function start(endpoint: string): Promise<{ telemetry: Telemetry; messages: () => string[] }> {
  const { log, lines } = keptLog();
  // The exporter reads these where they belong.
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint;
  process.env["OTEL_EXPORTER_OTLP_TIMEOUT"] = "150";
  const env = {
    ...process.env,
    OTEL_BSP_SCHEDULE_DELAY: "5",
    OTEL_BSP_MAX_QUEUE_SIZE: String(QUEUE),
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: String(BATCH),
  };
  const telemetry = await startTelemetry({ service: "s", log, env });
  assert.ok(telemetry);
  return { telemetry, messages: () => lines.all.map(({ message }) => message) };
}

function makeSpans({ tracing }: { tracing: Tracing }, count: number): void {
  for (let n = 0; n < count; n += 1) {
    tracing.start("x", { kind: "server", isRoot: true, attributes: { n } })?.end({}, undefined);
  }
}

const LOST = "spans are lost: the collector does not take them";

it("a collector that is down is reported once, and nothing fails", async () => {
  const { telemetry, messages } = await start(`http://${await refusingAddress()}`);
  for (let round = 0; round < 3; round += 1) {
    makeSpans(telemetry, QUEUE);
    await eventually(() => messages().includes(LOST), "the report");
  }
  await telemetry.close();
  assert.deepEqual(messages(), ["tracing is on", LOST]);
});

it("a collector that never responds holds a bounded number of spans, and does not hold up the end", async () => {
  await using receiver = await startOtlpReceiver(() => {});
  const { telemetry, messages } = await start(receiver.url);
  makeSpans(telemetry, 10_000);
  await receiver.requests.find(() => true, "a request");
  await telemetry.close();
  // A batch is under way besides the queue; one that got no response in time may have been sent again.
  const sent = new Set(receiver.spans.all.map(({ spanId }) => spanId));
  assert.ok(sent.size <= QUEUE + BATCH, `${sent.size} of 10,000 spans were kept`);
  assert.ok(messages().filter((message) => message === LOST).length <= 1);
});

it("a collector that refuses, or responds with garbage without end, costs spans alone", async () => {
  await using refuses = await startOtlpReceiver(
    (response) => void response.writeHead(400).end("\u0000".repeat(10_000)),
  );
  const { telemetry, messages } = await start(refuses.url);
  makeSpans(telemetry, 1);
  await eventually(() => messages().includes(LOST), "the report");
  await telemetry.close();
});

it("without an endpoint, or switched off, nothing is loaded", async () => {
  const { log } = keptLog();
  for (const env of [
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: " " },
    { OTEL_EXPORTER_OTLP_ENDPOINT: "http://x", OTEL_SDK_DISABLED: "true" },
    { OTEL_EXPORTER_OTLP_ENDPOINT: "http://x", OTEL_TRACES_EXPORTER: "none" },
  ]) {
    assert.equal(await startTelemetry({ service: "s", log, env }), undefined);
  }
});

it("variables that cannot be used are named, with what can", () => {
  const isInvalid = (name: string) => (error: unknown) =>
    error instanceof TurnaboutError && error.message.startsWith(name) && error.hint !== undefined;
  const url = "http://localhost:4318";
  for (const [name, use] of [
    ["OTEL_TRACES_SAMPLER", () => samplerChoice({ OTEL_TRACES_SAMPLER: "jaeger" })],
    ["OTEL_TRACES_SAMPLER_ARG", () => samplerChoice({ OTEL_TRACES_SAMPLER_ARG: "2" })],
    ["OTEL_BSP_MAX_QUEUE_SIZE", () => batchLimits({ OTEL_BSP_MAX_QUEUE_SIZE: "1e9" })],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", () => isTraced({ OTEL_EXPORTER_OTLP_ENDPOINT: "localhost:4317" })],
    [
      "OTEL_EXPORTER_OTLP_PROTOCOL",
      () => isTraced({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }),
    ],
    [
      "OTEL_TRACES_EXPORTER",
      () => isTraced({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_TRACES_EXPORTER: "zipkin" }),
    ],
  ] as const) {
    assert.throws(use, isInvalid(name));
  }
  assert.deepEqual(
    samplerChoice({ OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.1" }),
    {
      name: "traceidratio",
      ratio: 0.1,
      isParentBased: true,
    },
  );
});
