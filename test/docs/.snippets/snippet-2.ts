import { createRemoteDial, TurnaboutError } from "../../../src/index.ts";
import { createWolfClient, WolfError, wolfOverTunnel, wolfOverUnixSocket } from "../../../src/helix/index.ts";

const dial = createRemoteDial({ server: "http://localhost:33393", token: "demo" });
const wolf = createWolfClient(wolfOverTunnel(dial, "wolf-local"));

// Events from here on; the unread ones are bounded, and `missed` counts the dropped ones.
await using events = await wolf.events();
const apps = await wolf.apps.list({ timeoutMs: 5_000 });
console.log("apps", apps.length > 0);
await wolf.lobbies.leave("some-lobby", "some-session");
console.log((await events.next())?.name);

// Wolf's own refusal, in its own words.
try {
  await wolf.lobbies.join("no-such-lobby", "no-such-session");
} catch (error) {
  if (!(error instanceof WolfError)) throw error;
  console.log("Wolf refused", error.status);
}

// A runner that is not connected: Wolf has seen nothing.
try {
  await createWolfClient(wolfOverTunnel(dial, "wolf-elsewhere")).lobbies.list();
} catch (error) {
  if (!(error instanceof TurnaboutError)) throw error;
  console.log(error.code);
}

// The same client without a tunnel, on Wolf's machine.
try {
  await createWolfClient(wolfOverUnixSocket("/no/such/wolf.sock")).lobbies.list();
} catch (error) {
  if (!(error instanceof TurnaboutError)) throw error;
  console.log("no socket");
}
