/** gRPC through the API route of a target that speaks HTTP/2: @grpc/grpc-js at both ends. */
import assert from "node:assert/strict";
import type { EventEmitter } from "node:events";
import { Client, credentials, Metadata, Server, ServerCredentials, status as Status } from "@grpc/grpc-js";
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServiceError,
  StatusObject,
} from "@grpc/grpc-js";
import { after, before, describe, it } from "node:test";
import { via } from "../../support/callers.ts";
import { next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

const SERVICE = "/test.Echo";
const MB = 1024 * 1024;
const same = (bytes: Buffer): Buffer => bytes;

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `${SERVICE}/${name}`,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

/** Not `next()`: a status other than OK is an 'error' as well. */
async function statusOf(call: EventEmitter): Promise<StatusObject> {
  const { promise, resolve } = Promise.withResolvers<StatusObject>();
  call.once("status", resolve);
  return within(promise, "the status of a call");
}

describe("gRPC through the API route", () => {
  let server: Server;
  let system: System;
  let client: Client;
  let onCancelled = (_what: string): void => {};

  const unaryHandler: handleUnaryCall<Buffer, Buffer> = (call, respond) => {
    const text = String(call.request);
    const trailers = new Metadata();
    trailers.set("x-trailer-bin", Buffer.from([0, 255]));
    if (text === "fail") {
      return respond({ code: Status.NOT_FOUND, details: "no such thing: ü %", metadata: trailers }, null);
    }
    if (text === "never") return void call.on("cancelled", () => onCancelled("unary"));
    const own = new Metadata();
    own.set("x-echo", String(call.metadata.get("x-own")[0]));
    own.set("x-credentials", String(call.metadata.get("authorization").length));
    call.sendMetadata(own);
    return respond(null, call.request, trailers);
  };
  const sumHandler: handleClientStreamingCall<Buffer, Buffer> = (call, respond) => {
    let bytes = 0;
    call.on("data", (chunk: Buffer) => (bytes += chunk.length));
    call.on("end", () => respond(null, Buffer.from(String(bytes))));
  };
  const countHandler: handleServerStreamingCall<Buffer, Buffer> = (call) => {
    for (const word of ["one", "two", "three"]) call.write(Buffer.from(word));
    if (String(call.request) === "endless") call.on("cancelled", () => onCancelled("count"));
    else call.end();
  };
  const chatHandler: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    call.on("data", (chunk: Buffer) => {
      if (String(chunk) === "fail") call.emit("error", { code: Status.ABORTED, details: "enough" });
      else call.write(chunk);
    });
    call.on("end", () => call.end());
    call.on("error", () => {});
  };

  before(async () => {
    server = new Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
    server.addService(
      {
        Unary: method("Unary", false, false),
        Sum: method("Sum", true, false),
        Count: method("Count", false, true),
        Chat: method("Chat", true, true),
      },
      {
        Unary: unaryHandler,
        Sum: sumHandler,
        Count: countHandler,
        Chat: chatHandler,
      },
    );
    const bound = Promise.withResolvers<number>();
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error) bound.reject(error);
      else bound.resolve(port);
    });
    system = await startSystem({ agents: 0 });
    await system.addAgent({ [RUNNER]: { grpc: `127.0.0.1:${await bound.promise};http=2` } });
    client = new Client(`127.0.0.1:${system.controlPlane.port}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
    });
  });

  after(async () => {
    client.close();
    server.forceShutdown();
    await system.close();
    await assertNothingOpen();
  });

  function at(name: string): string {
    return via(`${SERVICE}/${name}`, "grpc");
  }

  function metadata(fields: Record<string, string> = {}): Metadata {
    const given = new Metadata();
    for (const [name, value] of Object.entries({ authorization: `Bearer ${ADMIN_TOKEN}`, ...fields })) {
      given.set(name, value);
    }
    return given;
  }

  interface Unary {
    error: ServiceError | null;
    value: Buffer | undefined;
    header: Metadata | undefined;
    status: StatusObject | undefined;
  }

  async function unary(body: Buffer, deadlineMs?: number): Promise<Unary> {
    const done = Promise.withResolvers<Unary>();
    const result: Unary = { error: null, value: undefined, header: undefined, status: undefined };
    const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
    const call = client.makeUnaryRequest(
      at("Unary"),
      same,
      same,
      body,
      metadata({ "x-own": "mine" }),
      options,
      (error, value) => {
        result.error = error;
        result.value = value;
      },
    );
    call.on("metadata", (header: Metadata) => (result.header = header));
    call.on("status", (status: StatusObject) => {
      result.status = status;
      setImmediate(() => done.resolve(result));
    });
    return within(done.promise, "the status of a unary call");
  }

  it("unary: message, metadata and trailers, without the caller's credential", async () => {
    const { error, value, header, status } = await unary(Buffer.from("hello"));
    assert.equal(error, null);
    assert.equal(String(value), "hello");
    assert.deepEqual(header?.get("x-echo"), ["mine"]);
    assert.deepEqual(header?.get("x-credentials"), ["0"]);
    assert.deepEqual(status?.metadata.get("x-trailer-bin"), [Buffer.from([0, 255])]);
  });

  it("a status with details and metadata, sent as trailers only", async () => {
    const { status } = await unary(Buffer.from("fail"));
    assert.deepEqual([status?.code, status?.details], [Status.NOT_FOUND, "no such thing: ü %"]);
    assert.deepEqual(status?.metadata.get("x-trailer-bin"), [Buffer.from([0, 255])]);
  });

  it("a method that there is not", async () => {
    const done = Promise.withResolvers<ServiceError | null>();
    client.makeUnaryRequest(at("Nothing"), same, same, Buffer.from(""), metadata(), (error) =>
      done.resolve(error),
    );
    assert.equal((await within(done.promise, "a status"))?.code, Status.UNIMPLEMENTED);
  });

  it("messages of 8 MB, both ways", async () => {
    const body = Buffer.alloc(8 * MB, "abcdefgh");
    const { value } = await unary(body);
    assert.ok(value?.equals(body));
  });

  it("a deadline: the target's call is cancelled", async () => {
    const cancelled = new Promise<string>((resolve) => (onCancelled = resolve));
    const { error } = await unary(Buffer.from("never"), 300);
    assert.equal(error?.code, Status.DEADLINE_EXCEEDED);
    assert.equal(await within(cancelled, "the target's cancellation"), "unary");
  });

  it("client streaming", async () => {
    const done = Promise.withResolvers<Buffer | undefined>();
    const call = client.makeClientStreamRequest(at("Sum"), same, same, metadata(), (error, value) => {
      if (error) done.reject(error);
      else done.resolve(value);
    });
    for (let n = 0; n < 100; n += 1) call.write(Buffer.alloc(10_000));
    call.end();
    assert.equal(String(await within(done.promise, "the sum")), "1000000");
  });

  it("server streaming, and a cancellation in the middle of it", async () => {
    const words: string[] = [];
    for await (const word of client.makeServerStreamRequest(
      at("Count"),
      same,
      same,
      Buffer.from(""),
      metadata(),
    )) {
      words.push(String(word));
    }
    assert.deepEqual(words, ["one", "two", "three"]);
    const cancelled = new Promise<string>((resolve) => (onCancelled = resolve));
    const call = client.makeServerStreamRequest(at("Count"), same, same, Buffer.from("endless"), metadata());
    call.on("error", () => {});
    await next(call, "data");
    const status = statusOf(call);
    call.cancel();
    assert.equal((await status).code, Status.CANCELLED);
    assert.equal(await within(cancelled, "the target's cancellation"), "count");
  });

  it("both ways at once, ended by either", async () => {
    const call = client.makeBidiStreamRequest(at("Chat"), same, same, metadata());
    for (const word of ["ping", "pong"]) {
      const data = next<[Buffer]>(call, "data");
      call.write(Buffer.from(word));
      assert.equal(String((await data)[0]), word);
    }
    const ok = statusOf(call);
    call.resume();
    call.end();
    assert.equal((await ok).code, Status.OK);

    const failing = client.makeBidiStreamRequest(at("Chat"), same, same, metadata());
    failing.on("error", () => {});
    failing.resume();
    const status = statusOf(failing);
    failing.write(Buffer.from("fail"));
    assert.deepEqual([(await status).code, (await status).details], [Status.ABORTED, "enough"]);
  });

  it("200 calls at once", async () => {
    const results = await Promise.all(Array.from({ length: 200 }, (_item, n) => unary(Buffer.from(`${n}`))));
    assert.deepEqual(
      results.map(({ value }) => String(value)),
      Array.from({ length: 200 }, (_item, n) => `${n}`),
    );
  });

  it("a credential that may not: a gRPC status, and no hang", async () => {
    const done = Promise.withResolvers<ServiceError | null>();
    const strange = new Metadata();
    strange.set("authorization", "Bearer wrong");
    client.makeUnaryRequest(at("Unary"), same, same, Buffer.from(""), strange, (error) =>
      done.resolve(error),
    );
    assert.equal((await within(done.promise, "a status"))?.code, Status.UNAUTHENTICATED);
  });
});
