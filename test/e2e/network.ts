/**
 * The design's two levels as networks. It is made by a process that is alone in network, mount and process namespaces
 * of its own (`unshare`): that network is the outside, and all of it ends with that process.
 *
 *     outside            198.51.100.1   control plane, users
 *       │ wan
 *     router             198.51.100.2 / 172.19.0.1    masquerades; nothing gets in that was not requested
 *       │ lan
 *     wolf (level 1)     172.19.0.20 / 172.20.0.1     Wolf, Moonlight Web, their agent; masquerades for level 2
 *       │ inner
 *     sandbox (level 2)  172.20.0.3                   a desktop and its agent
 *
 * Each of the inner ones counts what opens a connection, in both directions.
 */
import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

export const OUTSIDE = "198.51.100.1";

export type Place = "router" | "wolf" | "sandbox";

/** Packets that open something: the first of a TCP connection, of a UDP exchange, or anything else that is new. */
export interface Opened {
  /** Towards this place, from any other. */
  towards: number;
  /** Through this place, towards a place further inside. */
  inwards: number;
  /** Through this place, TCP from further inside to the control plane. */
  passedOut: number;
  /** From this place, TCP to the control plane. */
  dialled: number;
  /** From or through this place outwards, UDP: media has a path of its own. */
  media: number;
  /** Anything else that this place sends or passes. */
  other: number;
}

const COUNTERS: readonly (keyof Opened)[] = ["towards", "inwards", "passedOut", "dialled", "media", "other"];

export class Network {
  readonly #port: number;

  private constructor(port: number) {
    this.#port = port;
  }

  /** @param port of the control plane */
  static async make(port: number): Promise<Network> {
    const network = new Network(port);
    // Private names, which end with this process.
    await mkdir("/run/netns", { recursive: true });
    await run("mount", ["-t", "tmpfs", "tmpfs", "/run/netns"]);
    await ip("link", "set", "lo", "up");
    for (const place of ["router", "wolf", "sandbox"]) {
      await ip("netns", "add", place);
      await ip("-n", place, "link", "set", "lo", "up");
      await within(place, "sysctl", "-qw", "net.ipv4.ip_forward=1");
      await within(place, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"); // no neighbours' chatter to count
    }
    await cable(undefined, { name: "wan", address: "198.51.100.1/24" }, "router", {
      name: "wan",
      address: "198.51.100.2/24",
    });
    await cable("router", { name: "lan", address: "172.19.0.1/16" }, "wolf", {
      name: "lan",
      address: "172.19.0.20/16",
    });
    await cable("wolf", { name: "inner", address: "172.20.0.1/16" }, "sandbox", {
      name: "inner",
      address: "172.20.0.3/16",
    });
    // To a neighbour that is not there, as for any address without a route here: the browser takes its own
    // address from it, and the inside's addresses lead nowhere.
    await ip("route", "add", "default", "via", "198.51.100.254");
    await ip("-n", "wolf", "route", "add", "default", "via", "172.19.0.1");
    await ip("-n", "sandbox", "route", "add", "default", "via", "172.20.0.1");
    await network.#watch("router", { outer: "wan", masquerades: true });
    await network.#watch("wolf", { outer: "lan", masquerades: true });
    await network.#watch("sandbox", { outer: "inner", masquerades: false });
    return network;
  }

  /** To be put in front of a command line. */
  through(place: Place): readonly string[] {
    return ["nsenter", `--net=${this.file(place)}`];
  }

  file(place: Place): string {
    return `/run/netns/${place}`;
  }

  async opened(place: Place): Promise<Opened> {
    const text = await within(place, "nft", "-j", "list", "counters");
    const { nftables } = JSON.parse(text) as {
      nftables: { counter?: { name: string; packets: number } }[];
    };
    const packets = (name: string): number => {
      const found = nftables.find(({ counter }) => counter?.name === name);
      if (found?.counter === undefined) throw new Error(`no counter ${name} in ${place}`);
      return found.counter.packets;
    };
    const counts = Object.fromEntries(COUNTERS.map((name) => [name, packets(name)]));
    return counts as Record<keyof Opened, number>;
  }

  /** A direct connection from one place to an address, which must not be possible; refused or not. */
  async trespass(from: Place, address: string, port: number): Promise<void> {
    const script = `require("net").connect(${port}, "${address}").on("error", () => {}).setTimeout(2000, function () { this.destroy(); })`;
    await within(from, process.execPath, "-e", script);
  }

  async #watch(place: Place, { outer, masquerades }: { outer: string; masquerades: boolean }): Promise<void> {
    const toControlPlane = `ip daddr ${OUTSIDE} tcp dport ${this.#port} tcp flags & (syn | ack) == syn`;
    const rules = `
      table ip watch {
        ${COUNTERS.map((name) => `counter ${name} {}`).join("\n")}
        chain input {
          type filter hook input priority 0;
          iif lo accept
          ct state new counter name towards
        }
        chain forward {
          type filter hook forward priority 0;
          ct state established,related accept
          iifname ${outer} counter name inwards drop
          ${toControlPlane} counter name passedOut accept
          ip protocol udp counter name media accept
          counter name other
        }
        chain output {
          type filter hook output priority 0;
          oif lo accept
          ct state established,related accept
          ${toControlPlane} counter name dialled accept
          ip protocol udp counter name media accept
          counter name other
        }
        ${masquerades ? `chain leave { type nat hook postrouting priority srcnat; oifname ${outer} masquerade; }` : ""}
      }`;
    await within(place, "nft", rules);
  }
}

interface End {
  name: string;
  address: string;
}

/** @param from undefined: outside */
async function cable(from: Place | undefined, near: End, to: Place, far: End): Promise<void> {
  const at = from === undefined ? [] : ["-n", from];
  await ip(...at, "link", "add", near.name, "type", "veth", "peer", "name", far.name, "netns", to);
  await ip(...at, "address", "add", near.address, "dev", near.name);
  await ip("-n", to, "address", "add", far.address, "dev", far.name);
  await ip(...at, "link", "set", near.name, "up");
  await ip("-n", to, "link", "set", far.name, "up");
}

async function ip(...args: string[]): Promise<void> {
  await run("ip", args);
}

async function within(place: string, ...command: string[]): Promise<string> {
  const { stdout } = await run("nsenter", [`--net=/run/netns/${place}`, ...command]);
  return stdout;
}
