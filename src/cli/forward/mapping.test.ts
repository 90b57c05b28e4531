import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeListen, parseDestination, parseMapping } from "./mapping.ts";

describe("parseMapping", () => {
  it("takes a port, with an address or without, and a Unix socket", () => {
    const destination = { runner: "db-1", target: "postgres" };
    for (const [local, listen, shown] of [
      ["5432", { host: "127.0.0.1", port: 5432 }, "127.0.0.1:5432"],
      ["0", { host: "127.0.0.1", port: 0 }, "127.0.0.1:0"],
      [":80", { host: "127.0.0.1", port: 80 }, "127.0.0.1:80"],
      ["0.0.0.0:80", { host: "0.0.0.0", port: 80 }, "0.0.0.0:80"],
      ["[::1]:80", { host: "::1", port: 80 }, "[::1]:80"],
      ["localhost:80", { host: "localhost", port: 80 }, "localhost:80"],
      ["unix:/run/a=b.sock", { path: "/run/a=b.sock" }, "unix:/run/a=b.sock"],
    ] as const) {
      assert.deepEqual(parseMapping(`${local}=db-1/postgres`), { listen, destination }, local);
      assert.equal(describeListen(listen), shown);
    }
  });

  it("refuses everything else, and names it", () => {
    for (const text of [
      "5432",
      "5432=db-1",
      "5432=db-1/postgres/x",
      "5432=/postgres",
      "5432=DB 1/postgres",
      "65536=db-1/postgres",
      "x=db-1/postgres",
      "-1=db-1/postgres",
      "[::zz]:1=db-1/postgres",
      "::1:80=db-1/postgres",
      "unix:relative=db-1/postgres",
      "=db-1/postgres",
      "",
    ]) {
      assert.throws(() => parseMapping(text), { name: "UsageError" }, text);
    }
    assert.throws(() => parseDestination("gpu-1"), /"gpu-1": not a target/);
  });
});
