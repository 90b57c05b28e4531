/** `WS /ws/input`: binary messages, nothing back. What a sender still holds down when it goes is released. */
import type { RawData, WebSocket } from "ws";
import type { InputEvent } from "./events.ts";
import { MAX_HELD_PER_SENDER } from "../limits.ts";
import { parseInputMessage } from "./binary.ts";
import type { Injector } from "./injector.ts";

export function acceptInput(socket: WebSocket, injector: Injector): void {
  const held = new Map<string, InputEvent>();
  injector.prepare();

  const submit = (event: InputEvent): void => {
    const release = releaseOf(event);
    if (release !== undefined) {
      if (!release.isHeld) held.delete(release.id);
      else if (held.size < MAX_HELD_PER_SENDER) held.set(release.id, release.event);
    }
    const done = injector.submit([event]);
    if (!injector.isBusy) return;
    // Back-pressure: the sender's messages stay in its own buffers meanwhile.
    socket.pause();
    void done.then(() => socket.resume());
  };

  socket.on("message", (data: RawData, isBinary: boolean) => {
    if (!isBinary || !Buffer.isBuffer(data)) return;
    const event = parseInputMessage(data);
    if (event === undefined) injector.counts.malformed += 1;
    // What was already received when we paused, from this sender or another.
    else if (injector.isBusy) injector.counts.failed += 1;
    else submit(event);
  });

  socket.once("close", () => {
    injector.release([...held.values()]);
  });
}

interface Release {
  id: string;
  isHeld: boolean;
  event: InputEvent;
}

function releaseOf(event: InputEvent): Release | undefined {
  switch (event.kind) {
    case "key":
      return { id: `key ${event.code}`, isHeld: event.isDown, event: { ...event, isDown: false } };
    case "keysym":
      return { id: `keysym ${event.keysym}`, isHeld: event.isDown, event: { ...event, isDown: false } };
    case "button":
      return { id: `button ${event.code}`, isHeld: event.isDown, event: { ...event, isDown: false } };
    case "touch":
      if (event.phase === "motion") return undefined;
      return { id: `touch ${event.slot}`, isHeld: event.phase === "down", event: { ...event, phase: "up" } };
    case "tap":
    case "moveTo":
    case "moveBy":
    case "scroll":
      return undefined;
  }
}
