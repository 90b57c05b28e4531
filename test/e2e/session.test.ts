/**
 * The design's Test Phases 1 to 4 as one: a session from its creation to its end, with real processes, a real
 * desktop and a real browser. Only Wolf and Moonlight Web are doubles.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { missing } from "../support/parts.ts";
import { startChromium } from "./browser/chromium.ts";
import { servePages } from "./browser/pages.ts";
import { processesWith } from "./processes.ts";
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
import {
  assertClosedProperly,
  assertDirectMedia,
  assertSecretsApart,
  openPage,
  refuseOrigin,
  watch,
} from "./stream.ts";
import { phase, startE2e } from "./system.ts";

const skip = missing("sway", "swaybg", "grim", "wl-copy", "foot", "setpriv", "chromium");

test("a session, from its creation to its end", { skip, timeout: 120_000 }, async (t) => {
  {
    await using pages = await servePages();
    await using strangersPages = await servePages();
    await using system = await startE2e({ allowedOrigins: [pages.origin] });
    await phase(t, "app management through the tunnel", () => manageApps(system));
    const session = await createSession(system);
    await phase(t, "agent, server and desktop come up", () => bringUp(system, session));
    await phase(t, "strangers are refused", () => refuseStrangers(system, session));
    await phase(t, "clipboard both ways", () => useClipboard(system, session));

    await using chromium = await startChromium();
    const { alice } = system.users;
    await phase(t, "a page of a foreign origin is refused", async () => {
      await using context = await chromium.browser.newContext();
      const stranger = await openPage(context, strangersPages.origin, system, alice);
      await refuseOrigin(stranger, system, session);
    });
    const context = await chromium.browser.newContext();
    const viewer = await openPage(context, pages.origin, system, alice);
    await phase(t, "video in the browser", () => watch(viewer, system, session));
    await phase(t, "media goes directly", async () => t.diagnostic(await assertDirectMedia(viewer, system)));
    await phase(t, "secrets stay apart", () => assertSecretsApart(viewer, system, session));

    await phase(t, "the session ends", () => endSession(system, session));
    await phase(t, "the page gets the reason", () => assertClosedProperly(viewer));
    await chromium[Symbol.asyncDispose]();
    await phase(t, "nothing is left open", async () => {
      await assertIdle(system);
      assert.deepEqual(await processesWith(chromium.home), []);
    });
    await phase(t, "agent and control plane end", () => shutDown(system));
  }
  await assertNothingOpen();
});
