/** Records of requests that get no target: those of the API, and those that are refused before they are routed. */
import type { EventEmitter } from "node:events";
import { errorResponseFor } from "../listener/error-response.ts";
import type { Refuser } from "../listener/error-response.ts";
import type { AnyRequest, AnyResponse } from "../listener/messages.ts";
import { endRecord } from "../proxy/job.ts";
import type { AccessLog } from "../records/access-log.ts";
import { attachedRecord, attachRecord, notedAttempt, RequestRecord } from "../records/request-record.ts";
import type { Way } from "../records/request-record.ts";
import { REQUEST_ID_FIELD, requestIdOf } from "../trusted-proxies/request-id.ts";
import type { TrustedProxies } from "../trusted-proxies/trusted-proxies.ts";

export interface OtherRecordsContext {
  accessLog: Pick<AccessLog, "end">;
  trustedProxies: TrustedProxies;
}

const NO_CONTENT = { writtenBytes: 0 };

export class OtherRecords {
  readonly #context: OtherRecordsContext;

  constructor(context: OtherRecordsContext) {
    this.#context = context;
  }

  /** A request that the API serves. Its handlers note who has made it, and why it has failed. */
  api(request: AnyRequest, response: AnyResponse): void {
    const record = this.#start(request, "api");
    response.setHeader(REQUEST_ID_FIELD, record.id);
    response.once("close", () => {
      if (response.writableFinished) record.code ??= "ok";
      endRecord(record, response, NO_CONTENT, this.#context.accessLog);
    });
  }

  /** A request that has failed in the router. @param end of the caller: its response, stream or socket */
  refused(
    request: AnyRequest,
    end: EventEmitter,
    { error, refuser, way }: { error: unknown; refuser: Refuser; way: Way },
  ): void {
    const known = attachedRecord(request);
    const record = known ?? this.#start(request, way);
    const attempt = known === undefined ? notedAttempt(request) : undefined;
    if (attempt !== undefined) record.attempted(attempt);
    record.failed(error);
    record.status = errorResponseFor(error, refuser).status;
    if (known === undefined) end.once("close", () => this.#context.accessLog.end(record));
  }

  #start(request: AnyRequest, way: Way): RequestRecord {
    const record = new RequestRecord(requestIdOf(request), way);
    record.method = request.method;
    record.path = request.url;
    record.client = this.#context.trustedProxies.client(request).address;
    attachRecord(request, record);
    return record;
  }
}
