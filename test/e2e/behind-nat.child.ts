/** The scenario of `behind-nat.test.ts`, in namespaces of its own. Reports its steps on standard output. */
import assert from "node:assert/strict";
import { pause, within } from "../support/events.ts";
import { listRunners } from "../support/http.ts";
import { startChromium } from "./browser/chromium.ts";
import { servePages } from "./browser/pages.ts";
import { Network, OUTSIDE } from "./network.ts";
import type { Opened, Place } from "./network.ts";
import {
  assertIdle,
  bringUp,
  createSession,
  endSession,
  manageApps,
  refuseStrangers,
  shutDown,
  useClipboard,
} from "./steps.ts";
import { assertClosedProperly, assertDirectMedia, assertSecretsApart, openPage, watch } from "./stream.ts";
import { phase, startE2e } from "./system.ts";

const PORT = 8_080;
const PLACES: readonly Place[] = ["router", "wolf", "sandbox"];
/** An agent's tunnel connections, and those of the check at its start. */
const DIALS = 2 + 2;
const NOTHING: Opened = { towards: 0, inwards: 0, passedOut: 0, dialled: 0, media: 0, other: 0 };

const t = { diagnostic: (message: string): void => console.log(message) };

async function openedIn(network: Network): Promise<Record<Place, Opened>> {
  const counts = await Promise.all(PLACES.map((place) => network.opened(place)));
  return Object.fromEntries(PLACES.map((place, index) => [place, counts[index]])) as Record<Place, Opened>;
}

async function checked(network: Network): Promise<void> {
  for (;;) {
    const { wolf, sandbox } = await openedIn(network);
    if (wolf.dialled >= DIALS && sandbox.dialled >= DIALS) return;
    await pause();
  }
}

const network = await Network.make(PORT);
{
  await using pages = await servePages(OUTSIDE);
  await using system = await startE2e({
    host: OUTSIDE,
    port: PORT,
    allowedOrigins: [pages.origin],
    through: network.through("wolf"),
    moonlightPort: 8_080,
    sandboxNetwork: network.file("sandbox"),
  });
  await phase(t, "app management through the tunnel", () => manageApps(system));
  const session = await createSession(system);
  assert.equal(session.sandbox.port, 9_876, "Helix's port: its network is its own");
  await phase(t, "agent, server and desktop come up", () => bringUp(system, session));
  await phase(t, "strangers are refused", () => refuseStrangers(system, session));
  await phase(t, "clipboard both ways", () => useClipboard(system, session));

  const connections = (await listRunners(system.url)).find(
    ({ id }) => id === session.view.runner,
  )?.connections;
  assert.equal(connections?.length, 2);
  await phase(t, "nothing but the agents' dials has opened a connection", async () => {
    await within(checked(network), "the checks at the start", 60_000);
    // The sandbox's pass the level above and the router.
    assert.deepEqual(await openedIn(network), {
      sandbox: { ...NOTHING, dialled: DIALS },
      wolf: { ...NOTHING, dialled: DIALS, passedOut: DIALS },
      router: { ...NOTHING, passedOut: 2 * DIALS },
    });
  });

  await using chromium = await startChromium();
  const context = await chromium.browser.newContext();
  const viewer = await openPage(context, pages.origin, system, system.users.alice);
  await phase(t, "video in the browser", () => watch(viewer, system, session));
  await phase(t, "media goes directly", async () => t.diagnostic(await assertDirectMedia(viewer, system)));
  await phase(t, "secrets stay apart", () => assertSecretsApart(viewer, system, session));
  await phase(t, "the session dialled out and nothing in; media had a path of its own", async () => {
    const opened = await openedIn(network);
    const media = opened.wolf.media;
    assert.ok(media > 0 && opened.router.media > 0);
    assert.deepEqual(opened, {
      sandbox: { ...NOTHING, dialled: DIALS },
      wolf: { ...NOTHING, dialled: DIALS, passedOut: DIALS, media },
      router: { ...NOTHING, passedOut: 2 * DIALS, media: opened.router.media },
    });
  });
  await phase(t, "the session ends", () => endSession(system, session));
  await phase(t, "the page gets the reason", () => assertClosedProperly(viewer));
  await chromium[Symbol.asyncDispose]();
  await phase(t, "nothing is left open", () => assertIdle(system));

  await phase(t, "nothing has come in to the end", async () => {
    // An agent whose session has ended may dial once more before its sandbox ends.
    for (const { towards, inwards, other } of Object.values(await openedIn(network)))
      assert.deepEqual([towards, inwards, other], [0, 0, 0]);
  });
  await phase(t, "a direct connection would have been counted", async () => {
    const before = await openedIn(network);
    await network.trespass("router", "172.19.0.20", 8_080);
    await network.trespass("wolf", "172.20.0.3", 9_876);
    const after = await openedIn(network);
    assert.equal(after.wolf.towards, before.wolf.towards + 1);
    assert.equal(after.sandbox.towards, before.sandbox.towards + 1);
    assert.equal(after.router.other, before.router.other + 1);
  });
  await phase(t, "agent and control plane end", () => shutDown(system));
}
// It ends by itself: no open handle keeps it running.
