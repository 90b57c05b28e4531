/** The span of an agent: from the stream that it gets until the target is reached, or is not. */
import type { IncomingHttpHeaders } from "node:http";
import type { Destination } from "../../wire/messages/names.ts";
import { traceFields } from "../../wire/trace/trace-fields.ts";
import type { SpanAttributes, TraceSpan, Tracing } from "../../wire/trace/tracing.ts";
import type { TargetAddress } from "../targets/targets.ts";
import type { OpenTarget } from "../targets/target-table.ts";

export function startConnectSpan(
  tracing: Tracing,
  headers: IncomingHttpHeaders,
  { runner, target }: Destination,
  requestId: string | undefined,
): TraceSpan | undefined {
  return tracing.start("connect", {
    kind: "client",
    parent: traceFields(headers),
    isRoot: true,
    attributes: {
      "turnabout.request_id": requestId,
      "turnabout.runner": runner,
      "turnabout.target": target,
    },
  });
}

/** The same, with its span ended as soon as it is reached. A later call of `end` has no effect. */
export function tracedTarget(open: OpenTarget, span: TraceSpan): OpenTarget {
  const attributes = addressAttributes(open.target.address);
  return {
    target: open.target,
    label: open.label,
    connected(error) {
      span.end({ ...attributes, "turnabout.errno": error?.errno }, error?.code);
      open.connected(error);
    },
    failed: (failure) => open.failed(failure),
    close(code) {
      span.end(attributes, code ?? "aborted");
      open.close(code);
    },
  };
}

/** Only here: the control plane does not know it. */
function addressAttributes(address: TargetAddress): SpanAttributes {
  return address.kind === "unix"
    ? { "server.address": address.path, "network.transport": "unix" }
    : { "server.address": address.host, "server.port": address.port, "network.transport": "tcp" };
}
