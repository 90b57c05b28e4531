/** Passes a target's response on to the caller piece by piece, in the turn in which it arrives. */
import type { IncomingHttpHeaders } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { ServerResponse } from "node:http";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { resetStream } from "../../wire/streams/end-stream.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { isPlainlyChunked } from "../../wire/fields/http-fields.ts";
import { isolate } from "../fields/page-isolation.ts";
import { responseFields } from "../fields/header-fields.ts";
import type { TargetDeclaration } from "../fields/header-fields.ts";
import {
  MAX_INFORMATIONAL_RESPONSES,
  PASSED_INFORMATIONAL_BYTES,
  PASSED_INFORMATIONAL_RESPONSES,
} from "../limits.ts";
import type { AnyResponse } from "../listener/messages.ts";
import { forgetFormerContent, HeldContent } from "./held-content.ts";
import type { ProxyContext, ProxyJob } from "./job.ts";
import { SmallPieces } from "./small-pieces.ts";
import { REQUEST_ID_FIELD } from "../trusted-proxies/request-id.ts";
import { hasNoContent, writeHead, writeInformational, writeTrailers } from "../listener/response-writer.ts";
import { unrepresentable } from "./target-errors.ts";

export interface ResponseHead {
  status: number;
  headers: IncomingHttpHeaders;
  /** The target's reason phrase, where it speaks HTTP/1.1. */
  reason: string | undefined;
  /** The header section ends the response: a gRPC response of trailers only has to stay one section. */
  isWhole: boolean;
  /** The target speaks HTTP/2: trailers may follow content of a known length, too. */
  isHttp2: boolean;
  /** The target speaks HTTP/1.0. */
  isHttp10: boolean;
  /** For the caller, on a route of ours. */
  requestId: string;
}

export class ResponseRelay {
  /** The target's declaration at its agent, of the current attempt. */
  target: TargetDeclaration;
  readonly #response: AnyResponse;
  readonly #method: string | undefined;
  readonly #job: ProxyJob;
  readonly #context: Pick<ProxyContext, "log">;
  /** Bytes of content that were written to the caller. */
  writtenBytes = 0;
  readonly #pieces = new SmallPieces((bytes) => this.#write(bytes));
  /** The caller's buffer was full at the last write. */
  #isFull = false;
  #informational = 0;
  #isEventStream = false;
  #informationalBytes = 0;
  /** The target may not send content, or the caller may not get it. */
  #noContent = false;
  /** The last chunk of a body of known length: held back to leave in one write with the end. */
  #last: Buffer | undefined;
  #remaining = -1;
  /** Writes the header section of a chunked response: held back until a chunk has come or the turn is over. */
  #writeHead: (() => void) | undefined;
  /** The content is replaced, so nothing is written before its end. */
  #held: { content: HeldContent; write: (bytes: Buffer) => void } | undefined;

  constructor(
    response: AnyResponse,
    method: string | undefined,
    job: ProxyJob,
    context: Pick<ProxyContext, "log">,
  ) {
    this.#response = response;
    this.#method = method;
    this.#job = job;
    this.#context = context;
  }

  /** The target has sent a header section, be it informational. */
  get hasBegun(): boolean {
    const isHeld = this.#writeHead !== undefined || this.#held !== undefined;
    return this.#response.headersSent || this.#informational > 0 || isHeld;
  }

  /** Server-sent events: an endless response, whose reader connects again after its end. */
  get isEventStream(): boolean {
    return this.#isEventStream;
  }

  /**
   * Passes it on, unless there have been many.
   *
   * @throws TurnaboutError `target_protocol` after {@link MAX_INFORMATIONAL_RESPONSES}
   */
  passInformational(status: number, headers: IncomingHttpHeaders): void {
    this.#informational += 1;
    if (this.#informational > MAX_INFORMATIONAL_RESPONSES) {
      throw new TurnaboutError(
        "target_protocol",
        `more than ${MAX_INFORMATIONAL_RESPONSES} informational responses before the final one`,
      );
    }
    for (const [name, value] of Object.entries(headers)) {
      this.#informationalBytes += name.length + String(value).length;
    }
    const isPassed =
      this.#informational <= PASSED_INFORMATIONAL_RESPONSES &&
      this.#informationalBytes <= PASSED_INFORMATIONAL_BYTES;
    if (!isPassed) return;
    try {
      writeInformational(this.#response, status, this.#fieldsFrom(headers));
    } catch (error) {
      // The final response does not depend on it.
      this.#context.log.debug({ status, reason: toError(error).message }, "informational response dropped");
    }
  }

  /**
   * The header section of a chunked response waits for {@link sendHead}: where its first chunk is none, the caller can still
   * have an error.
   *
   * @throws TurnaboutError `target_protocol` where its framing is faulty, or the caller's protocol cannot represent it
   */
  passHead({ status, headers, reason, isWhole, isHttp2, isHttp10, requestId }: ResponseHead): void {
    const coding = headers["transfer-encoding"];
    this.#noContent = hasNoContent(status, this.#method);
    if (isHttp10 && coding !== undefined) {
      throw new TurnaboutError("target_protocol", "Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)");
    }
    if (!this.#noContent && !isPlainlyChunked(coding)) {
      throw new TurnaboutError(
        "target_protocol",
        "the target's content has a transfer coding besides chunked",
      );
    }
    const fields = this.#fieldsFrom(headers);
    if (this.#job.isolated === true) isolate(fields);
    const { amend } = this.#job;
    amend?.fields?.(fields, status);
    if (this.#job.mode === "api") fields[REQUEST_ID_FIELD] = requestId;
    if (amend?.content !== undefined && status === 200) {
      forgetFormerContent(fields);
      if (!this.#noContent) return this.#hold(new HeldContent(amend.content, headers), fields, reason);
    }
    const length = headers["content-length"];
    this.#remaining = length === undefined ? -1 : Number(length);
    this.#isEventStream =
      length === undefined && /^text\/event-stream *(;|$)/i.test(headers["content-type"] ?? "");
    const write = (): void => {
      try {
        writeHead(this.#response, status, fields, {
          reason,
          endStream: isWhole,
          mayHaveTrailers: isHttp2 || length === undefined,
        });
      } catch (cause) {
        throw unrepresentable(status, cause);
      }
    };
    this.#writeHead = write;
    if (coding === undefined || this.#noContent) this.sendHead();
  }

  #hold(content: HeldContent, fields: Record<string, string | string[]>, reason: string | undefined): void {
    const write = (bytes: Buffer): void => {
      writeHead(this.#response, 200, { ...fields, "content-length": String(bytes.length) }, { reason });
      this.#last = bytes;
    };
    this.#held = { content, write };
  }

  /** Nothing is written before the end of the content, because it is replaced. */
  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** Writes the header section of content that is replaced. @throws TurnaboutError where that fails */
  passRewritten(): void {
    const held = this.#held;
    if (held === undefined) return;
    const { client, mount } = this.#job;
    const bytes = held.content.rewritten(`${client.prefix}${mount?.path ?? ""}`);
    this.#held = undefined;
    held.write(bytes);
  }

  /** What {@link passHead} has held back. @throws TurnaboutError as that */
  sendHead(): void {
    const write = this.#writeHead;
    this.#writeHead = undefined;
    write?.();
  }

  /** @returns false when the caller's buffer is full */
  passContent(chunk: Buffer): boolean {
    if (this.#held !== undefined) {
      this.#held.content.append(chunk);
      return true;
    }
    this.sendHead();
    if (this.#noContent) return true;
    if (this.#remaining >= 0) {
      this.#remaining -= chunk.length;
      if (this.#remaining === 0) {
        this.#last = chunk;
        return true;
      }
    }
    return this.#pieces.add(chunk) && !(this.#isFull && pendingBytes(this.#response) > 0);
  }

  /** Writes what {@link passContent} has joined. */
  flush(): void {
    this.#pieces.flush();
  }

  /** Not after the end: the caller may have left in this turn. */
  #write(bytes: Buffer): boolean {
    const response = this.#response;
    if (response.destroyed || response.writableEnded) return true;
    this.writtenBytes += bytes.length;
    const hasRoom = response instanceof ServerResponse ? response.write(bytes) : response.write(bytes);
    this.#isFull = !hasRoom;
    return hasRoom;
  }

  passTrailers(trailers: IncomingHttpHeaders): void {
    this.sendHead();
    this.flush();
    // Behind content that was replaced, and so has a length, there are none.
    const hasNone = Object.keys(trailers).length === 0 || this.#job.amend?.content !== undefined;
    if (hasNone) return;
    try {
      writeTrailers(this.#response, this.#fieldsFrom(trailers));
    } catch (error) {
      // Trailers may be left out (RFC 9110 §6.5.1); the content is complete.
      this.#context.log.info({ reason: toError(error).message }, "trailer section dropped");
    }
  }

  end(): void {
    this.sendHead();
    this.flush();
    const last = this.#last;
    if (last === undefined) return void this.#response.end();
    this.writtenBytes += last.length;
    const response = this.#response;
    if (response instanceof ServerResponse) response.end(last);
    else endSoon(response, last);
  }

  #fieldsFrom(headers: IncomingHttpHeaders): Record<string, string | string[]> {
    return responseFields(headers, this.#job, this.target);
  }
}

/**
 * One turn of the loop later: a target that closes after its response has mostly done so by then, and the caller's next request
 * is not sent on that connection.
 */
function endSoon(response: Http2ServerResponse, last: Buffer): void {
  const { stream } = response;
  const guard = new Guard((error) => resetStream(stream, error));
  const end = guard.wrap(() => {
    if (!stream.closed && !stream.destroyed) response.end(last);
  });
  setImmediate(end);
}

function pendingBytes(response: AnyResponse): number {
  return response instanceof ServerResponse ? response.writableLength : response.stream.writableLength;
}
