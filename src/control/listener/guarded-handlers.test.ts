import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { it } from "node:test";
import { silentLogger } from "../../wire/log.ts";
import { guardHandlers } from "./guarded-handlers.ts";
import type { PortHandlers } from "./messages.ts";

type Upgrade = Parameters<PortHandlers["upgrade"]>;

const throwing = (): never => {
  throw new Error("a peer sent something");
};
const rejecting = async (): Promise<void> => Promise.reject(new Error("a peer sent something"));

for (const [what, handler] of [
  ["throws", throwing],
  ["rejects", rejecting],
] as const) {
  it(`a handler that ${what} causes a 500 on a raw socket, and no error leaves it`, async () => {
    const logged: string[] = [];
    const log = { ...silentLogger, error: (_fields: object, message: string) => logged.push(message) };
    const handlers = guardHandlers(
      { request: handler, upgrade: handler, connect: handler, connectStream: handler, reversed: handler },
      log,
    );
    for (const name of ["upgrade", "connect"] as const) {
      const socket = new PassThrough();
      void handlers[name](new EventEmitter() as Upgrade[0], socket, Buffer.alloc(0));
      const [response] = (await socket.toArray()) as [Buffer];
      assert.match(response.toString(), /^HTTP\/1\.1 500 /);
    }
    assert.deepEqual(logged, ["request handler failed", "request handler failed"]);
  });
}
