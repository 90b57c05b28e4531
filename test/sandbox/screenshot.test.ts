/** Screenshots of a real desktop: pixels, formats, validators, and what many viewers cost. */
import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import sharp from "sharp";
import { isInstalled, missing } from "../support/parts.ts";
import { BACKGROUND, fileWith, skipWithoutDesktop, startDesktop, until } from "./desktop.ts";
import { startServer } from "./server.ts";
import type { TestServer } from "./server.ts";

interface Colour {
  red: number;
  green: number;
  blue: number;
}

async function pixel(picture: Buffer, x: number, y: number): Promise<Colour> {
  const one = sharp(picture).removeAlpha().extract({ left: x, top: y, width: 1, height: 1 });
  const [red = -1, green = -1, blue = -1] = await one.raw().toBuffer();
  return { red, green, blue };
}

function isLike(actual: Colour, expected: Colour, tolerance: number): boolean {
  return (["red", "green", "blue"] as const).every((c) => Math.abs(actual[c] - expected[c]) <= tolerance);
}

async function picture(server: TestServer, query: string): Promise<Buffer> {
  const response = await server.request(`/screenshot${query}`);
  assert.equal(response.status, 200);
  return Buffer.from(await response.arrayBuffer());
}

test(
  "shows the background and what a program draws, as PNG and as JPEG",
  { skip: skipWithoutDesktop },
  async () => {
    await using desktop = await startDesktop();
    await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
    const drawn = { red: 0xc0, green: 0x20, blue: 0x40 };
    await desktop.swaymsg(
      `exec foot -o colors.background=c02040 sh -c 'echo > ${desktop.folder}/ready; exec sleep 1000'`,
    );
    await fileWith(join(desktop.folder, "ready"), () => true);
    // Both are drawn by clients of their own, soon after they have started.
    await until("everything is drawn", async () => {
      const png = await picture(server, "?format=png");
      return isLike(await pixel(png, 5, 5), BACKGROUND, 0) && isLike(await pixel(png, 640, 500), drawn, 0);
    });
    const png = await server.request("/screenshot?format=png");
    assert.equal(png.headers.get("content-type"), "image/png");
    assert.equal(png.headers.get("cache-control"), "no-cache, no-store, must-revalidate");
    const jpeg = await server.request("/screenshot");
    assert.equal(jpeg.headers.get("content-type"), "image/jpeg");
    assert.equal(jpeg.headers.get("cache-control"), "no-cache, no-store, must-revalidate");
    const pictures = [
      { name: "png", bytes: Buffer.from(await png.arrayBuffer()), tolerance: 0 },
      { name: "jpeg", bytes: Buffer.from(await jpeg.arrayBuffer()), tolerance: 6 },
    ];
    for (const { name, bytes, tolerance } of pictures) {
      const { format, width, height } = await sharp(bytes).metadata();
      assert.deepEqual({ format, width, height }, { format: name, width: 1280, height: 720 });
      assert.ok(isLike(await pixel(bytes, 5, 5), BACKGROUND, tolerance), `${name}: background`);
      assert.ok(isLike(await pixel(bytes, 640, 500), drawn, tolerance), `${name}: drawn`);
    }
  },
);

test(
  "quality is clamped and makes a difference; other methods are refused",
  { skip: skipWithoutDesktop },
  async () => {
    await using desktop = await startDesktop();
    await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
    await desktop.swaymsg(
      `exec foot sh -c 'seq -s " " 20000; echo > ${desktop.folder}/ready; exec sleep 1000'`,
    );
    await fileWith(join(desktop.folder, "ready"), () => true);
    const size = async (query: string): Promise<number> => (await picture(server, query)).length;
    await until("there is text on the screen", async () => (await size("?quality=70")) > 50_000);
    assert.ok((await size("?quality=10")) < (await size("?quality=90")));
    assert.equal(await size("?quality=0"), await size("?quality=1"));
    assert.equal(await size("?quality=1000"), await size("?quality=100"));
    assert.equal(await size("?quality=nonsense"), await size("?quality=70"));
    assert.equal(await size(""), await size("?quality=70"));
    const whole = await server.request("/screenshot?format=png");
    const head = await server.request("/screenshot?format=png", { method: "HEAD" });
    assert.equal((await head.arrayBuffer()).byteLength, 0);
    assert.equal(head.status, 200);
    for (const name of ["etag", "content-type", "cache-control", "content-length"]) {
      assert.equal(head.headers.get(name), whole.headers.get(name), name);
    }
    assert.equal(Number(head.headers.get("content-length")), (await whole.arrayBuffer()).byteLength);
    const other = await server.request("/screenshot?format=bmp");
    assert.equal(other.headers.get("content-type"), "image/png");
    assert.equal((await sharp(Buffer.from(await other.arrayBuffer())).metadata()).format, "png");
    for (const method of ["POST", "DELETE"]) {
      const response = await server.request("/screenshot", { method });
      assert.equal(response.status, 405, method);
      assert.equal(response.headers.get("allow"), "GET, HEAD");
    }
  },
);

test(
  "a tag stands for one picture in one encoding, and spares its bytes",
  { skip: skipWithoutDesktop },
  async () => {
    await using desktop = await startDesktop();
    await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
    await until("the background is drawn", async () => {
      return isLike(await pixel(await picture(server, ""), 5, 5), BACKGROUND, 6);
    });
    const tagOf = async (query: string): Promise<string> => {
      const response = await server.request(`/screenshot${query}`);
      await response.arrayBuffer();
      return response.headers.get("etag") ?? "none";
    };
    const tag = await tagOf("");
    assert.match(tag, /^"[\w-]+"$/);
    assert.equal(await tagOf("?quality=70"), tag);
    assert.notEqual(await tagOf("?quality=71"), tag);
    assert.match(await tagOf("?format=png"), /png"$/);

    const ask = (field: string): Promise<Response> =>
      server.request("/screenshot", { headers: { "if-none-match": field } });
    for (const field of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
      const response = await ask(field);
      assert.equal(response.status, 304, field);
      assert.equal(response.headers.get("etag"), tag);
      assert.equal((await response.arrayBuffer()).byteLength, 0);
    }
    await desktop.swaymsg("output * bg #806020 solid_color");
    await until("the new background is drawn", async () => {
      return isLike(await pixel(await picture(server, ""), 5, 5), { red: 0x80, green: 0x60, blue: 0x20 }, 6);
    });
    const changed = await ask(tag);
    assert.equal(changed.status, 200);
    assert.ok((await changed.arrayBuffer()).byteLength > 1_000);
  },
);

test(
  "a still screen has one tag for each encoding, for a lone viewer and in a crowd of both",
  { skip: skipWithoutDesktop },
  async () => {
    await using desktop = await startDesktop();
    await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
    await until("the background is drawn", async () => {
      return isLike(await pixel(await picture(server, ""), 5, 5), BACKGROUND, 6);
    });
    const tags = { png: new Set<string>(), jpeg: new Set<string>() };
    const bodies = { png: new Set<string>(), jpeg: new Set<string>() };
    const ask = async (format: "png" | "jpeg"): Promise<void> => {
      const response = await server.request(`/screenshot?format=${format}`);
      tags[format].add(response.headers.get("etag") ?? "none");
      bodies[format].add(Buffer.from(await response.arrayBuffer()).toString("base64"));
    };
    for (const format of ["png", "jpeg", "png"] as const) await ask(format);
    const captures = async (): Promise<number> => {
      const response = await server.request("/health", { headers: { accept: "application/json" } });
      return ((await response.json()) as { screenshot: { captures: number } }).screenshot.captures;
    };
    const before = await captures();
    await until("the crowd has had captures of its own", async () => {
      await Promise.all(Array.from({ length: 40 }, (_, i) => ask(i % 2 === 0 ? "png" : "jpeg")));
      return (await captures()) > before + 2;
    });
    assert.deepEqual([tags.png.size, tags.jpeg.size], [1, 1]);
    assert.deepEqual([bodies.png.size, bodies.jpeg.size], [1, 1], "a tag stands for bytes");
  },
);

/** A grim that counts its runs. The returned function says how many there were. */
async function countGrim(): Promise<AsyncDisposable & { runs(): Promise<number> }> {
  const folder = await mkdtemp(join(tmpdir(), "turnabout-grim-"));
  const path = process.env["PATH"] ?? "";
  const real = isInstalled("/usr/bin/grim") ? "/usr/bin/grim" : "grim";
  await writeFile(join(folder, "runs"), "");
  await writeFile(
    join(folder, "grim"),
    `#!/bin/sh\necho run >> ${folder}/runs\nPATH=${path} exec ${real} "$@"\n`,
  );
  await chmod(join(folder, "grim"), 0o755);
  process.env["PATH"] = `${folder}:${path}`;
  return {
    runs: async () => (await readFile(join(folder, "runs"), "utf8")).split("\n").length - 1,
    [Symbol.asyncDispose]: async () => {
      process.env["PATH"] = path;
      await rm(folder, { recursive: true });
    },
  };
}

test(
  "fifty requests at once cost one grim, whatever they ask for",
  { skip: skipWithoutDesktop },
  async () => {
    await using desktop = await startDesktop();
    await using grim = await countGrim();
    await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
    const responses = await Promise.all(
      Array.from({ length: 50 }, (_, i) => picture(server, `?format=${i % 2 === 0 ? "png" : "jpeg"}`)),
    );
    assert.equal(await grim.runs(), 1);
    const formats = await Promise.all(responses.map(async (bytes) => (await sharp(bytes).metadata()).format));
    assert.deepEqual(new Set(formats), new Set(["png", "jpeg"]));
  },
);

test("responds as Helix does while there is no display", { skip: missing("grim") }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "turnabout-nothing-"));
  try {
    await using server = await startServer({ runtimeFolder: folder });
    const ask = async (): Promise<string> => {
      const response = await server.request("/screenshot");
      assert.equal(response.status, 500);
      assert.equal(response.headers.get("cache-control"), "no-cache, no-store, must-revalidate");
      assert.equal(response.headers.get("etag"), null);
      return response.text();
    };
    assert.equal(await ask(), "No Wayland sockets available\n");
    await writeFile(join(folder, "wayland-1.lock"), "");
    assert.equal(await ask(), "No Wayland sockets available\n");
    await writeFile(join(folder, "wayland-1"), "");
    assert.match(await ask(), /^Failed to capture screenshot: .+\n$/);
    await rm(folder, { recursive: true });
    assert.equal(await ask(), "Failed to find Wayland sockets\n");
    assert.equal(await (await server.request("/health")).text(), "OK");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("names a program that is missing", async () => {
  const folder = await mkdtemp(join(tmpdir(), "turnabout-nothing-"));
  const path = process.env["PATH"];
  try {
    await using server = await startServer({ runtimeFolder: folder });
    await writeFile(join(folder, "wayland-1"), "");
    process.env["PATH"] = folder;
    const screenshot = await (await server.request("/screenshot")).text();
    const notFound = (program: string): string =>
      `${program}: exec: "${program}": executable file not found in $PATH\n`;
    assert.equal(screenshot, `Failed to capture screenshot: ${notFound("grim")}`);
    const clipboard = await server.post("/clipboard", { type: "text", data: "x" });
    assert.deepEqual([clipboard.status, await clipboard.text()], [500, notFound("wl-copy")]);
  } finally {
    process.env["PATH"] = path;
    await rm(folder, { recursive: true });
  }
});

test("finds the display that can be captured among others", { skip: skipWithoutDesktop }, async () => {
  await using desktop = await startDesktop();
  // As Wolf's own display, which comes first and cannot be captured.
  await writeFile(join(desktop.runtimeFolder, "wayland-0"), "");
  await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
  assert.ok((await picture(server, "")).length > 1_000);
  const health = await server.request("/health", { headers: { accept: "application/json" } });
  const { display } = (await health.json()) as { display: unknown };
  assert.deepEqual(display, { sockets: ["wayland-1", "wayland-0"], used: "wayland-1" });
});
