/** Files that callers put on the desktop. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { storeFile } from "../../agents/sandbox/server/upload/multipart.ts";
import { until } from "./desktop.ts";
import { startServer } from "./server.ts";
import type { TestServer } from "./server.ts";

interface Fixture extends AsyncDisposable {
  server: TestServer;
  folder: string;
}

async function start(maxUploadBytes?: number): Promise<Fixture> {
  const folder = await mkdtemp(join(tmpdir(), "turnabout-incoming-"));
  const server = await startServer({
    runtimeFolder: "/nonexistent",
    incomingFolder: join(folder, "incoming"),
    ...(maxUploadBytes === undefined ? {} : { maxUploadBytes }),
  });
  const close = async (): Promise<void> => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  };
  return { server, folder: join(folder, "incoming"), [Symbol.asyncDispose]: close };
}

function upload(server: TestServer, name: string, content: Buffer, field = "file"): Promise<Response> {
  const form = new FormData();
  form.set("other", "a field before it");
  form.set(field, new Blob([new Uint8Array(content)]), name);
  form.set("after", "a field behind it");
  return server.request("/upload?open_file_manager=false", { method: "POST", body: form });
}

/** A form built by hand, for names that FormData would clean. */
function form(filename: string): { body: string; headers: Record<string, string> } {
  const head = `Content-Disposition: form-data; name="file"; filename="${filename}"`;
  const body = `--b\r\n${head}\r\n\r\ncontent\r\n--b--\r\n`;
  return { body, headers: { "content-type": "multipart/form-data; boundary=b" } };
}

test("stores each file under a name of its own, and returns its path", async () => {
  await using fixture = await start();
  const { server, folder } = fixture;
  const content = randomBytes(3_000_000);
  for (const filename of ["a b.tar.gz", "a b.tar (1).gz", "a b.tar (2).gz"]) {
    const response = await upload(server, "a b.tar.gz", content);
    assert.equal(response.status, 200);
    const path = join(folder, filename);
    assert.deepEqual(await response.json(), { path, size: content.length, filename });
    assert.ok((await readFile(path)).equals(content));
  }
  const both = await Promise.all([
    upload(server, "ä", Buffer.from("1")),
    upload(server, "ä", Buffer.from("2")),
  ]);
  const names = await Promise.all(
    both.map(async (one) => ((await one.json()) as { filename: string }).filename),
  );
  assert.deepEqual(names.toSorted(), ["ä", "ä (1)"]);
  assert.equal((await readdir(folder)).length, 5);
});

test("keeps the last part of a name that is a path", async () => {
  await using fixture = await start();
  const { server, folder } = fixture;
  const names = ["../one", "/etc/two", "a/b/three/", "..\\\\four", "C:\\\\a b\\\\five.txt", "../../one"];
  const stored: string[] = [];
  for (const name of names) {
    const response = await server.request("/upload?open_file_manager=false", {
      method: "POST",
      ...form(name),
    });
    assert.equal(response.status, 200, name);
    stored.push(((await response.json()) as { filename: string }).filename);
  }
  assert.deepEqual(stored, ["one", "two", "three", "four", "five.txt", "one (1)"]);
  assert.deepEqual((await readdir(folder)).toSorted(), stored.toSorted());
  assert.deepEqual(await readdir(join(folder, "..")), ["incoming"], "none in another folder");
});

test("refuses what is no name of a file", async () => {
  await using fixture = await start();
  const { server, folder } = fixture;
  const names = ["..", ".", "", "/", "a/..", "a\0b", "a\u0007"];
  for (const name of names) {
    const response = await server.request("/upload", { method: "POST", ...form(name) });
    assert.deepEqual(
      [response.status, await response.text()],
      [400, "Invalid filename\n"],
      JSON.stringify(name),
    );
  }
  const long = await server.request("/upload", { method: "POST", ...form("x".repeat(241)) });
  assert.equal(long.status, 400);
  await assert.rejects(readdir(folder), { code: "ENOENT" });
});

test("refuses files that are too large, at once if the length is given, and keeps nothing of them", async () => {
  await using fixture = await start(1_000_000);
  const { server, folder } = fixture;
  const fits = await upload(server, "fits", Buffer.alloc(1_000_000));
  assert.equal(fits.status, 200);
  const over = await upload(server, "over", Buffer.alloc(1_000_001));
  assert.deepEqual([over.status, await over.text()], [413, "File too large\n"]);
  const far = await upload(server, "far", Buffer.alloc(20_000_000));
  assert.equal(far.status, 413);
  assert.deepEqual(await readdir(folder), ["fits"]);
});

test("a refusal reaches a sender that reads only when it has sent everything", async () => {
  await using fixture = await start(1_000_000);
  const { server } = fixture;
  for (const connection of ["close", "keep-alive"]) {
    const bytes = 40_000_000;
    const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="far"\r\n\r\n';
    const head =
      `POST /upload HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\nContent-Length: ${bytes}\r\n` +
      `Content-Type: multipart/form-data; boundary=b\r\n\r\n`;
    const socket = connect({ port: server.server.port, host: "127.0.0.1", allowHalfOpen: true });
    socket.pause();
    socket.write(head + part);
    for (const block of blocks(bytes - part.length)) {
      if (!socket.write(block)) await once(socket, "drain"); // rejects at an 'error': the response would be lost
    }
    socket.end();
    const response = await text(socket);
    assert.match(response, /^HTTP\/1\.1 413 [^]*\r\n\r\nFile too large\n$/);
  }
});

function* blocks(bytes: number): Generator<Buffer> {
  const block = Buffer.alloc(256 * 1024);
  for (let left = bytes; left > 0; left -= block.length)
    yield block.subarray(0, Math.min(left, block.length));
}

test("refuses bodies that are not a form, or have no file", async () => {
  await using fixture = await start();
  const { server } = fixture;
  const post = (body: string, type: string): Promise<Response> =>
    server.request("/upload", { method: "POST", body, headers: { "content-type": type } });
  assert.equal((await post("x", "text/plain")).status, 400);
  assert.equal((await post("x", "multipart/form-data")).status, 400);
  assert.equal((await post("no boundary here", "multipart/form-data; boundary=b")).status, 400);
  assert.equal((await post("--b--\r\n", "multipart/form-data; boundary=b")).status, 400);
  assert.equal((await upload(server, "x", Buffer.from("x"), "picture")).status, 400);
  assert.equal((await server.request("/upload")).status, 405);
});

test("an upload that is aborted leaves nothing behind", async () => {
  await using fixture = await start();
  const { server, folder } = fixture;
  const sender = request({
    port: server.server.port,
    path: "/upload",
    method: "POST",
    headers: { "content-type": "multipart/form-data; boundary=b" },
  });
  sender.on("error", () => {});
  sender.write('--b\r\nContent-Disposition: form-data; name="file"; filename="half"\r\n\r\n');
  sender.write(Buffer.alloc(1_000_000));
  await until("it has begun", async () => (await readdir(folder).catch(() => [])).length === 1);
  sender.destroy();
  await until("it is gone", async () => (await readdir(folder)).length === 0);
});

const HEAD = 'Content-Disposition: form-data; name="file"; filename="a\\"b.txt"\r\nContent-Type: x/y';

/** What is stored of a body, in chunks of so many bytes. */
async function stored(body: Buffer, size: number): Promise<{ filename: string; text: string } | undefined> {
  const chunks = async function* (): AsyncGenerator<Buffer, void, undefined> {
    for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
  };
  return storeFile(chunks(), "multipart/form-data; boundary=boundary", async (filename, content) => {
    const pieces: Buffer[] = [];
    for await (const piece of content) pieces.push(piece);
    return { filename, text: Buffer.concat(pieces).toString("utf8") };
  });
}

test("finds the boundary wherever the chunks are cut", async () => {
  const content = "\r\n--bound\r\n-\r\n--boun\r--boundary";
  const body = Buffer.from(`preamble\r\n--boundary\r\n${HEAD}\r\n\r\n${content}\r\n--boundary--\r\nepilogue`);
  for (let size = 1; size < body.length; size += 1) {
    assert.deepEqual(await stored(body, size), { filename: 'a"b.txt', text: content }, `chunks of ${size}`);
  }
});

test("refuses a form that is truncated anywhere", async () => {
  const body = Buffer.from(`--boundary\r\n${HEAD}\r\n\r\ncontent\r\n--boundary--\r\n`);
  const complete = body.lastIndexOf("--boundary--") + "--boundary".length;
  for (let length = 0; length < complete; length += 1) {
    await assert.rejects(
      stored(body.subarray(0, length), 7),
      { name: "Failure", status: 400 },
      `${length} bytes`,
    );
  }
});

test("refuses a form of too many parts, and does not look for the file behind a header that is too long", async () => {
  const part = '--boundary\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n';
  const file = `--boundary\r\n${HEAD}\r\n\r\ncontent\r\n--boundary--\r\n`;
  assert.equal((await stored(Buffer.from(part.repeat(31) + file), 1_000))?.text, "content");
  await assert.rejects(stored(Buffer.from(part.repeat(32) + file), 1_000), /too many parts/);
  const long = `--boundary\r\nX: ${"x".repeat(9_000)}\r\n${HEAD}\r\n\r\ncontent\r\n--boundary--\r\n`;
  assert.equal(await stored(Buffer.from(long), 1_000), undefined);
});

test("stops at once if the file cannot be stored, although the form continues", async () => {
  let taken = 0;
  const chunks = async function* (): AsyncGenerator<Buffer, void, undefined> {
    yield Buffer.from(`--boundary\r\n${HEAD}\r\n\r\n`);
    for (; taken < 1_000; taken += 1) yield Buffer.alloc(65_536);
  };
  const attempt = storeFile(
    chunks(),
    "multipart/form-data; boundary=boundary",
    async (_filename, content) => {
      for await (const _ of content) throw new Error("disk full");
    },
  );
  await assert.rejects(attempt, /disk full/);
  assert.ok(taken < 3, `${taken} chunks`);
});
