/** A user's visit in a browser of the user's own, by cookie: every page of it, and all that the browser gets and complains about. */
import type { Browser, BrowserContext, Page, Request } from "playwright-core";
import { EventLog } from "../../support/event-log.ts";
import { within } from "../../support/events.ts";

export interface Loaded {
  status: number;
  /** With the query. */
  path: string;
}

/**
 * Chromium reports a body that a page has read as a stream, to its end, as finished or, as often, as this. A body that was cut
 * has another name.
 */
const STREAM_READ = "net::ERR_ABORTED";

/** Keeps each peer connection of a page, for its measurements. */
const KEEP_PEERS = `
  globalThis.peers = [];
  globalThis.RTCPeerConnection = class extends globalThis.RTCPeerConnection {
    constructor(...options) {
      super(...options);
      globalThis.peers.push(this);
    }
  };
`;

/** What the video is, and what has come of it. */
export interface Video {
  width: number;
  framesDecoded: number;
  bytesReceived: number;
  colour: { red: number; green: number; blue: number };
}

const MEASURE = `(async () => {
  const video = document.querySelector("video");
  const [peer] = globalThis.peers;
  const report = peer === undefined ? [] : [...(await peer.getStats()).values()];
  const inbound = report.find(({ type, kind }) => type === "inbound-rtp" && kind === "video");
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  if (video.videoWidth > 0) {
    context.drawImage(video, video.videoWidth / 4, video.videoHeight / 2, 1, 1, 0, 0, 1, 1);
  }
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return {
    width: video.videoWidth,
    framesDecoded: inbound?.framesDecoded ?? 0,
    bytesReceived: inbound?.bytesReceived ?? 0,
    colour: { red, green, blue },
  };
})()`;

export class Visit implements AsyncDisposable {
  readonly context: BrowserContext;
  /** Of this origin. */
  readonly loaded: Loaded[] = [];
  /** Console errors, uncaught exceptions, failed requests. */
  readonly problems: string[] = [];
  /** Addresses, fields and bodies of responses, and frames of WebSockets. */
  readonly seen: EventLog<string> = new EventLog();
  readonly #bodies: Promise<void>[] = [];
  readonly #origin: string;

  private constructor(context: BrowserContext, origin: string) {
    this.context = context;
    this.#origin = origin;
    context.on("requestfinished", (request) => this.#keep(request));
    context.on("requestfailed", (request) => {
      const problem = request.failure()?.errorText ?? "failed";
      if (problem !== STREAM_READ) this.problems.push(`${request.url()}: ${problem}`);
    });
    context.on("console", (message) => {
      if (message.type() === "error") this.problems.push(message.text());
    });
    context.on("weberror", (error) => this.problems.push(error.error().message));
    context.on("page", (page) => this.#follow(page));
  }

  /** @param origin of the control plane, whose cookie the user has */
  static async start(browser: Browser, origin: string, token: string): Promise<Visit> {
    const context = await browser.newContext();
    await context.addInitScript(KEEP_PEERS);
    await context.addCookies([{ name: "access_token", value: token, url: origin }]);
    return new Visit(context, origin);
  }

  /** All responses so far have been read. Before a page is closed, because its responses go with it. */
  async whole(): Promise<void> {
    await within(Promise.all(this.#bodies), "the bodies of all responses");
  }

  /** Everything that has come to the browser, and what its pages keep. */
  async everything(): Promise<string> {
    await this.whole();
    const kept = await Promise.all(
      this.context
        .pages()
        .map((page) =>
          page.evaluate<string>(
            "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, document.documentElement.outerHTML])",
          ),
        ),
    );
    const state = JSON.stringify((await this.context.storageState({ indexedDB: true })).origins);
    return [...this.seen.all, ...kept, state].join("\n");
  }

  /** Of the first peer of a page. */
  static measure(page: Page): Promise<Video> {
    return page.evaluate<Video>(MEASURE);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.context.close();
  }

  #follow(page: Page): void {
    page.on("websocket", (socket) => {
      this.seen.push(socket.url());
      socket.on("framesent", ({ payload }) => this.seen.push(String(payload)));
      socket.on("framereceived", ({ payload }) => this.seen.push(String(payload)));
    });
  }

  #keep(request: Request): void {
    const url = request.url();
    const keep = async (): Promise<void> => {
      const response = await request.response();
      if (response === null) return;
      const status = response.status();
      if (url.startsWith(this.#origin)) this.loaded.push({ status, path: url.slice(this.#origin.length) });
      this.seen.push(`${url} ${status} ${JSON.stringify(await response.allHeaders())}`);
      const isRedirect = status >= 300 && status < 400;
      if (!isRedirect) this.seen.push((await response.body()).toString("latin1"));
    };
    const kept = keep();
    kept.catch(() => {}); // looked at in `whole`
    this.#bodies.push(kept);
  }
}
