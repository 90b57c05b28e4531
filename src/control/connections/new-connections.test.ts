import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import { NewConnections } from "./new-connections.ts";

let port = 0;

class FakeSocket extends EventEmitter {
  readonly remoteAddress: string;
  readonly remotePort: number;
  destroyed = false;
  constructor(address: string) {
    super();
    this.remoteAddress = address;
    port += 1;
    this.remotePort = port;
  }
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

function add(connections: NewConnections, address: string): FakeSocket {
  const socket = new FakeSocket(address);
  connections.add(socket as unknown as Socket);
  return socket;
}

describe("NewConnections", () => {
  it("refuses an address that has all places, and gives one of them to another address", () => {
    const connections = new NewConnections(4);
    const own = Array.from({ length: 4 }, () => add(connections, "192.0.2.1"));
    assert.equal(add(connections, "192.0.2.1").destroyed, true);
    const other = add(connections, "192.0.2.2");
    assert.equal(other.destroyed, false);
    assert.deepEqual(
      own.map(({ destroyed }) => destroyed),
      [true, false, false, false],
    );
  });

  it("shares the places until both have as many", () => {
    const connections = new NewConnections(4);
    for (let i = 0; i < 4; i += 1) add(connections, "192.0.2.1");
    const others = Array.from({ length: 4 }, () => add(connections, "192.0.2.2"));
    assert.deepEqual(
      others.map(({ destroyed }) => destroyed),
      [false, false, true, true],
    );
  });

  it("counts all addresses of an IPv6 network as one", () => {
    const connections = new NewConnections(2);
    add(connections, "2001:db8:0:1::1");
    add(connections, "2001:db8:0:1:ffff::2");
    assert.equal(add(connections, "2001:db8:0:1::3").destroyed, true);
    assert.equal(add(connections, "2001:db8:0:2::3").destroyed, false);
    assert.equal(add(connections, "2001:db8::2:0:0:0:1").destroyed, true);
  });

  it("counts a connection for the client that its proxy names", () => {
    const connections = new NewConnections(4);
    const proxied = (client: string): FakeSocket => {
      const socket = add(connections, "192.0.2.1");
      connections.belongsTo(socket as unknown as Socket, client);
      return socket;
    };
    const flood = Array.from({ length: 4 }, () => proxied("198.51.100.1"));
    const honest = proxied("198.51.100.2");
    const direct = add(connections, "192.0.2.9");
    assert.deepEqual(
      [honest, direct, ...flood].map(({ destroyed }) => destroyed),
      [false, false, true, true, false, false],
    );
    connections.done(honest);
    flood[3]?.destroy();
    assert.deepEqual(
      [proxied("198.51.100.3"), proxied("198.51.100.3")].map(({ destroyed }) => destroyed),
      [false, false],
    );
  });

  it("frees the place of a connection that has closed or brought its request", () => {
    const connections = new NewConnections(2);
    const first = add(connections, "192.0.2.1");
    const second = add(connections, "192.0.2.1");
    connections.done(first);
    connections.done(first);
    assert.equal(add(connections, "192.0.2.1").destroyed, false);
    second.destroy();
    assert.equal(add(connections, "192.0.2.1").destroyed, false);
    assert.equal(add(connections, "192.0.2.1").destroyed, true);
    assert.equal(first.destroyed, false);
  });
});
