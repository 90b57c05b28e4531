/** A dial of the library, or of an extension, with its line in the access log when its stream has closed. */
import { randomUUID } from "node:crypto";
import type { Duplex } from "node:stream";
import { CodedError } from "../../wire/errors.ts";
import type { Destination } from "../../wire/messages/names.ts";
import type { Tracing } from "../../wire/trace/tracing.ts";
import type { AccessLog } from "./access-log.ts";
import { RequestRecord } from "./request-record.ts";
import { traceDial } from "./request-trace.ts";

type DialledSocket = Duplex & { readonly bytesRead: number; readonly bytesWritten: number };

export async function recordedDial<Socket extends DialledSocket>(
  { runner, target }: Destination,
  { accessLog, tracing }: { accessLog: Pick<AccessLog, "end">; tracing: Tracing | undefined },
  open: (record: RequestRecord) => Promise<Socket>,
): Promise<Socket> {
  const record = new RequestRecord(randomUUID(), "dial");
  record.runner = runner;
  record.target = target;
  traceDial(record, tracing);
  try {
    const socket = await open(record);
    socket.once("close", () => {
      if (socket.errored === null) record.code = "ok";
      else fail(record, socket.errored);
      record.bytesIn = socket.bytesWritten;
      record.bytesOut = socket.bytesRead;
      accessLog.end(record);
    });
    return socket;
  } catch (error) {
    fail(record, error);
    accessLog.end(record);
    throw error;
  }
}

function fail(record: RequestRecord, error: unknown): void {
  record.failed(error);
  if (!(error instanceof CodedError)) record.code = "aborted";
}
