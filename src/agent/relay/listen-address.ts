/** `--listen`: where a relay listens for agents. */
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_SOCKET_PATH_BYTES } from "../limits.ts";

export type ListenAddress =
  | { kind: "unix"; path: string; mode: number }
  | { kind: "tcp"; host: string; port: number };

/** Owner and group. The control plane checks every token, but other users need `;mode=0666` to connect at all. */
const DEFAULT_MODE = 0o660;

/**
 * `unix:/path`, `unix:///path`, `host:port` or `[v6]:port`; port 0 takes a free one. `;mode=0666` after a path sets who may
 * connect.
 *
 * @throws TurnaboutError `config_invalid` with the offending text
 */
export function parseListenAddress(text: string): ListenAddress {
  const unix = /^unix:(?:\/\/)?(\/[^;\0]+)(?:;mode=(0?[0-7]{3}))?$/.exec(text);
  if (unix?.[1] !== undefined) {
    const [, path, mode] = unix;
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
      throw invalid(text, `the path of a Unix socket has at most ${MAX_SOCKET_PATH_BYTES} bytes`);
    }
    return { kind: "unix", path, mode: mode === undefined ? DEFAULT_MODE : Number.parseInt(mode, 8) };
  }
  const tcp = /^(?:\[([0-9a-fA-F:.]+(?:%[^\s%/[\]]+)?)\]|([^\s:/[\];]+)):(\d{1,5})$/.exec(text);
  const host = tcp?.[1] ?? tcp?.[2];
  const port = Number(tcp?.[3]);
  if (host === undefined || port > 65_535) throw invalid(text, "use unix:/PATH or HOST:PORT");
  return { kind: "tcp", host, port };
}

export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

function invalid(text: string, what: string): TurnaboutError {
  return new TurnaboutError("config_invalid", `listen address ${JSON.stringify(text)}: ${what}`, {
    hint: "give unix:/PATH, unix:/PATH;mode=0666 or HOST:PORT",
  });
}
