/** Responses of handlers, and their bytes. */
export type Reply =
  | { kind: "whole"; status: number; type: string; body: Buffer }
  /** No length: the end of the connection is the end of the body. */
  | { kind: "until-close"; fields: readonly string[]; chunks: AsyncIterable<Buffer | string> }
  | { kind: "events" }
  /** No response: Wolf omits it, and the connection closes. */
  | { kind: "silence" };

export function json(body: object, status = 200): Reply {
  return { kind: "whole", status, type: "application/json", body: Buffer.from(JSON.stringify(body)) };
}

/** Wolf's `GenericSuccessResponse`. */
export function success(fields: object = {}): Reply {
  return json({ success: true, ...fields });
}

/** Wolf's `GenericErrorResponse`; nearly every error is a 500. */
export function failure(error: string, status = 500): Reply {
  return json({ success: false, error }, status);
}

/** The type is JSON even where the text is not. */
export function plain(text: string, status: number): Reply {
  return { kind: "whole", status, type: "application/json", body: Buffer.from(text) };
}

export function png(body: Buffer): Reply {
  return { kind: "whole", status: 200, type: "image/png", body };
}

/** Wolf's status line: always HTTP/1.0, and always the reason `OK`, whatever the status. */
export function replyHead(status: number, fields: readonly string[]): string {
  return [`HTTP/1.0 ${status} OK`, ...fields, "", ""].join("\r\n");
}

export function wholeReply(reply: Extract<Reply, { kind: "whole" }>): Buffer {
  const fields = [`Content-Type: ${reply.type}`, `Content-Length: ${reply.body.length}`];
  return Buffer.concat([Buffer.from(replyHead(reply.status, fields)), reply.body]);
}
