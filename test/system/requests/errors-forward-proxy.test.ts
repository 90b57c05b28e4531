/** The same failures at the forward proxy: absolute form, and CONNECT over HTTP/1.1 and HTTP/2. */
import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { IncomingMessage } from "node:http";
import type { ClientHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { CALLERS, openCaller } from "../../support/callers.ts";
import { ending, next, within } from "../../support/events.ts";
import { checkErrorResponse, FAILURES, startFailure, tokenOf } from "../../support/failures.ts";
import type { ErrorResponse, Failure } from "../../support/failures.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const HTTP1 = CALLERS.filter((kind) => kind.startsWith("HTTP/1.1"));

function authorityOf(failure: Failure): string {
  return `${failure.name ?? TARGET}.${failure.runner ?? RUNNER}`;
}

/** A proxy sends 407 where a server sends 401 (RFC 9110 §11.7.1), or clients never send the credential. */
function proxyStatus({ status }: Failure): number {
  return status === 401 ? 407 : status;
}

function credential(failure: Failure): Record<string, string> {
  const token = tokenOf(failure);
  return token === undefined ? {} : { "proxy-authorization": `Bearer ${token}` };
}

for (const kind of HTTP1) {
  describe(`absolute form over ${kind}`, () => {
    for (const failure of FAILURES) {
      it(`${failure.what}: ${proxyStatus(failure)} ${failure.code}`, async () => {
        await using system = await startFailure(failure);
        await using caller = await openCaller(kind, system);
        const response = await caller.call({
          path: `http://${authorityOf(failure)}/secret/path`,
          headers: {
            authorization: undefined,
            ...credential(failure),
            ...(failure.timeoutS !== undefined && { "turnabout-timeout": failure.timeoutS }),
          },
        });
        assert.equal(response.kind, "end");
        checkErrorResponse(failure, response, proxyStatus(failure));
      });
    }
  });
}

const MALFORMED: readonly Failure[] = [
  { what: "an authority without a runner", name: "wolf", runner: "", status: 400, code: "bad_request" },
  { what: "an address", name: "127.0.0.1", runner: "1", status: 400, code: "bad_request" },
];

for (const kind of CALLERS) {
  describe(`CONNECT over ${kind}`, () => {
    for (const failure of [...FAILURES.filter(({ afterConnect }) => afterConnect !== true), ...MALFORMED]) {
      it(`${failure.what}: ${proxyStatus(failure)} ${failure.code}`, async () => {
        await using system = await startFailure(failure);
        const isTls = kind.endsWith("TLS");
        const connect = kind.startsWith("HTTP/2") ? connectHttp2 : connectHttp1;
        checkErrorResponse(failure, await connect(system, isTls, failure), proxyStatus(failure));
      });
    }
  });
}

async function connectHttp1(system: System, isTls: boolean, failure: Failure): Promise<ErrorResponse> {
  const request = (isTls ? https : http).request({
    host: isTls ? "localhost" : "127.0.0.1",
    port: system.controlPlane.port,
    agent: false,
    servername: "localhost", // else node checks the certificate against the authority
    method: "CONNECT",
    path: authorityOf(failure),
    headers: credential(failure),
    ...(system.pki !== undefined && { ca: system.pki.ca }),
  });
  request.end();
  const [response, socket, head] = await next<[IncomingMessage, Socket, Buffer]>(request, "connect");
  const rest = await ending(socket);
  assert.equal(rest.kind, "end");
  const text = Buffer.concat([head, rest.data]).toString();
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

async function connectHttp2(system: System, isTls: boolean, failure: Failure): Promise<ErrorResponse> {
  const session = http2.connect(
    `${isTls ? "https://localhost" : "http://127.0.0.1"}:${system.controlPlane.port}`,
    system.pki === undefined ? {} : { ca: system.pki.ca },
  );
  const stream: ClientHttp2Stream = session.request({
    ":method": "CONNECT",
    ":authority": authorityOf(failure),
    ...credential(failure),
  });
  const [headers] = await within(next<[NodeJS.Dict<string>]>(stream, "response"), "a response");
  const { kind, data } = await ending(stream);
  assert.equal(kind, "end");
  const closed = next(session, "close");
  session.destroy();
  await closed;
  return { status: Number(headers[":status"]), headers, text: data.toString() };
}
