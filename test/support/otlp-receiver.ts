/** A collector of traces: takes OTLP over HTTP as JSON, and keeps the spans. */
import http from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { closedAtTheEnd } from "./cleanup.ts";
import { EventLog } from "./event-log.ts";
import { next } from "./events.ts";

export interface ReceivedSpan {
  service: string;
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  /** As OTLP numbers them: 1 internal, 2 server, 3 client. */
  kind: number;
  /** 2 for an error. */
  status: number;
  durationMs: number;
  attributes: Record<string, string | number>;
}

interface AnyValue {
  stringValue?: string;
  intValue?: string | number;
  doubleValue?: number;
}

interface Attribute {
  key: string;
  value: AnyValue;
}

interface ExportRequest {
  resourceSpans: {
    resource: { attributes: Attribute[] };
    scopeSpans: {
      spans: {
        name: string;
        traceId: string;
        spanId: string;
        parentSpanId?: string;
        kind: number;
        startTimeUnixNano: string;
        endTimeUnixNano: string;
        status?: { code?: number };
        attributes?: Attribute[];
      }[];
    }[];
  }[];
}

export interface OtlpReceiver extends AsyncDisposable {
  url: string;
  spans: EventLog<ReceivedSpan>;
  /** Bodies as they came, to look for what must not be in them. */
  bodies: string[];
  requests: EventLog<string>;
}

/** @param respond default: everything is taken */
export async function startOtlpReceiver(
  respond: (response: ServerResponse, request: IncomingMessage) => void = (response) =>
    void response.writeHead(200, { "content-type": "application/json" }).end("{}"),
): Promise<OtlpReceiver> {
  const spans = new EventLog<ReceivedSpan>();
  const requests = new EventLog<string>();
  const bodies: string[] = [];
  const server = http.createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (text: string) => (body += text));
    request.on("error", () => {}); // permanently
    response.on("error", () => {}); // permanently
    request.on("end", () => {
      bodies.push(body);
      requests.push(request.url ?? "");
      for (const span of spansOf(JSON.parse(body) as ExportRequest)) spans.push(span);
      respond(response, request);
    });
  });
  server.listen(0, "127.0.0.1");
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    server.closeAllConnections();
    server.close();
    await next(server, "close");
  };
  closedAtTheEnd(close);
  await next(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, spans, bodies, requests, [Symbol.asyncDispose]: close };
}

function spansOf({ resourceSpans }: ExportRequest): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map(({ name, traceId, spanId, parentSpanId = "", kind, status, attributes = [], ...times }) => ({
        service: String(valuesOf(resource.attributes)["service.name"]),
        name,
        traceId,
        spanId,
        parentSpanId,
        kind,
        status: status?.code ?? 0,
        durationMs: Number(BigInt(times.endTimeUnixNano) - BigInt(times.startTimeUnixNano)) / 1e6,
        attributes: valuesOf(attributes),
      })),
    ),
  );
}

function valuesOf(attributes: readonly Attribute[]): Record<string, string | number> {
  return Object.fromEntries(
    attributes.map(({ key, value: { stringValue, intValue, doubleValue } }) => [
      key,
      stringValue ?? Number(intValue ?? doubleValue),
    ]),
  );
}
