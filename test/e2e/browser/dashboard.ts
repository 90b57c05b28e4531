/** The control plane's page in a browser: signed in, and all that the browser complains about. */
import type { Browser, BrowserContext, Page } from "playwright-core";

export interface Dashboard extends AsyncDisposable {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Errors of the console, uncaught exceptions, and dialogs that a script has opened. */
  readonly problems: string[];
}

export interface DashboardOptions {
  /** With the slash at its end. */
  url: string;
  /** Undefined: not signed in. */
  token?: string | undefined;
  width?: number;
  theme?: "light" | "dark";
}

/** A refusal is no problem of the page: the browser reports the status of each. */
const REFUSAL = /Failed to load resource: the server responded with a status of/;

/** It only bounds a hang. */
const ACTION_TIMEOUT_MS = 20_000;

export async function openDashboard(
  browser: Browser,
  { url, token, width = 1_280, theme = "light" }: DashboardOptions,
): Promise<Dashboard> {
  const context = await browser.newContext({
    viewport: { width, height: 860 },
    colorScheme: theme,
    reducedMotion: "reduce",
  });
  const problems: string[] = [];
  context.on("console", (message) => {
    if (message.type() === "error" && !REFUSAL.test(message.text())) problems.push(message.text());
  });
  context.on("weberror", (error) => problems.push(error.error().message));
  context.on("dialog", (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss().catch(() => {});
  });
  context.setDefaultTimeout(ACTION_TIMEOUT_MS);
  const page = await context.newPage();
  await page.goto(url);
  if (token !== undefined) await signIn(page, token);
  return { context, page, problems, [Symbol.asyncDispose]: () => context.close() };
}

export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation").waitFor();
}

/** By the navigation. */
export async function openView(page: Page, name: string): Promise<void> {
  await page.getByRole("navigation").getByRole("link", { name }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
}
