import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UsageError } from "../command.ts";
import { agent } from "./agent.ts";
import { revdialClient } from "./revdial-client.ts";

const start = ["--server", "http://x", "--token-file", "f"];

describe("an agent's command", () => {
  const misuse: [string, string[], RegExp][] = [
    ["runner", ["--runner", "A b", "--target", "a=b:1"], /^runner id "A b": use 1 to 128 /],
    ["target's address", ["--runner", "r", "--target", "a=/x"], /^target address "\/x": use unix:\/path or/],
    ["target", ["--runner", "r", "--target", "=b:1"], /^target "=b:1": use NAME=ADDRESS, for example /],
    [
      "server",
      ["--server", "ftp://x", "--runner", "r", "--target", "a=b:1"],
      /^server URL "ftp:\/\/x": use http/,
    ],
    ["relay's address", ["--listen", "x"], /^listen address "x": use unix:\/PATH or HOST:PORT/],
    ["discovery without a runner", ["--listen", "x:1", "--docker", "unix:///d"], /^no runner/],
  ];
  for (const [what, args, says] of misuse) {
    it(`reports a wrong ${what} as wrong usage, with a hint`, async () => {
      await assert.rejects(agent.run([...start, ...args]), (error) => {
        assert.ok(error instanceof UsageError, String(error));
        assert.match(error.message, says);
        assert.match(error.hint, /turnabout agent --help|give --runner|^give unix:/);
        return true;
      });
    });
  }

  it("of Helix does the same", async () => {
    const title = process.title;
    for (const args of [
      ["-runner-id", "A b"],
      ["-runner-id", "r", "-local", "/x"],
      ["-runner-id", "r", "-server-url", "ftp://x"],
    ]) {
      await assert.rejects(revdialClient.run(["-server", "unix:r", "-token", "t", ...args]), UsageError);
    }
    process.title = title;
  });
});
