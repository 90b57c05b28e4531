/** Which error texts of a sandbox's server mean that the desktop is still starting. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SandboxError } from "./errors.ts";

function isDisplayMissing(status: number, reason: string): boolean {
  return new SandboxError("sandbox GET /screenshot", status, reason).isDisplayMissing;
}

test("the texts of older servers and of newer ones mean that the desktop is starting", () => {
  for (const reason of [
    "No Wayland sockets available",
    "Failed to find Wayland sockets",
    "Failed to capture screenshot: exit status 1",
    "no screenshot method available for this desktop environment",
    "no Wayland display",
    "D-Bus connection not available",
  ]) {
    assert.equal(isDisplayMissing(500, reason), true, reason);
  }
  assert.equal(isDisplayMissing(503, "RemoteDesktop session not available"), true);
  assert.equal(isDisplayMissing(503, "PipeWire node not available"), true);
});

test("a refusal, a missing program and any other text do not", () => {
  assert.equal(isDisplayMissing(403, "no Wayland display"), false);
  const missing = 'Failed to capture screenshot: grim: exec: "grim": executable file not found in $PATH';
  assert.equal(isDisplayMissing(500, missing), false);
  assert.equal(isDisplayMissing(500, "Failed to write file: no space left on device"), false);
});
