import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_DOCKER_CONTAINER_BYTES, MAX_DOCKER_CONTAINERS, MAX_DOCKER_ID_LENGTH } from "../limits.ts";
import type { Container } from "./containers.ts";
import { ContainerListReader } from "./containers.ts";
import type { ContainerList } from "./containers.ts";
import { parseEngineUrl } from "./engine-url.ts";
import { runnerOf } from "./labels.ts";

function container(labels: Record<string, string>, rest: Partial<Container> = {}): Container {
  return {
    id: "c1",
    name: "one",
    createdAtS: 0,
    labels: new Map(Object.entries(labels)),
    networkMode: "default",
    addresses: new Map([["bridge", "172.17.0.2"]]),
    ...rest,
  };
}

const RUNNER = { "turnabout.runner": "sandbox-1" };
const LABELS = { ...RUNNER, "turnabout.target.screenshot": "9876" };

function refusal(labels: Record<string, string>, rest: Partial<Container> = {}): string {
  try {
    runnerOf(container(labels, rest), { hostNetwork: false });
  } catch (error) {
    assert.ok(error instanceof TurnaboutError && error.code === "config_invalid");
    return error.message;
  }
  assert.fail("it was accepted");
}

function hostOf(labels: Record<string, string>, rest: Partial<Container>): string {
  const all = container({ ...LABELS, ...labels }, rest);
  const address = runnerOf(all, { hostNetwork: true }).targets[0]?.address;
  return address?.kind === "tcp" ? address.host : assert.fail("no TCP address");
}

describe("a container's labels", () => {
  it("name the runner and any number of ports of its own", () => {
    const labels = {
      ...LABELS,
      "turnabout.target.api": "80;http=1.0",
      "turnabout.target.wolf": "81",
      other: "x",
    };
    assert.deepEqual(runnerOf(container(labels), { hostNetwork: false }), {
      id: "sandbox-1",
      targets: [
        { name: "api", address: { kind: "tcp", host: "172.17.0.2", port: 80 }, http: "1.0" },
        { name: "screenshot", address: { kind: "tcp", host: "172.17.0.2", port: 9876 }, http: "auto" },
        { name: "wolf", address: { kind: "tcp", host: "172.17.0.2", port: 81 }, http: "1.0" },
      ],
    });
  });

  for (const value of [
    "0",
    "65536",
    "",
    "x",
    "-1",
    "80/tcp",
    "127.0.0.1:80",
    "10.0.0.1:22",
    "unix:/run/x",
    "80;x=y",
  ]) {
    it(`lead nowhere else: ${JSON.stringify(value)} is refused`, () => {
      assert.notEqual(refusal({ ...RUNNER, "turnabout.target.x": value }), "");
    });
  }

  it("are refused with what is wrong", () => {
    assert.match(
      refusal({ "turnabout.runner": "Not an id", "turnabout.target.x": "1" }),
      /runner id "Not an id"/,
    );
    assert.match(refusal(RUNNER), /no target: add a label turnabout\.target\.NAME=PORT/);
    assert.match(refusal({ ...RUNNER, "turnabout.target.": "80" }), /target/);
    assert.match(refusal({ ...RUNNER, "turnabout.target.UPPER": "80" }), /target name "UPPER"/);
    assert.match(
      refusal({ ...RUNNER, "turnabout.target.a=10.0.0.1:22;http=1.1": "80" }),
      /target name "a=10/,
    );
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`turnabout.target.t${n}`, "80"]));
    assert.match(refusal({ ...RUNNER, ...many }), /more than 64 targets/);
  });
});

describe("a container's address", () => {
  const addresses = new Map([
    ["b-net", "172.18.0.2"],
    ["a-net", "172.19.0.2"],
  ]);

  it("is, of several networks, the same at every look: the first by name", () => {
    assert.equal(hostOf({}, { addresses }), "172.19.0.2");
    assert.equal(hostOf({}, { addresses: new Map([...addresses].toReversed()) }), "172.19.0.2");
  });

  it("is that of the labelled network", () => {
    assert.equal(hostOf({ "turnabout.network": "b-net" }, { addresses }), "172.18.0.2");
    assert.match(
      refusal({ ...LABELS, "turnabout.network": "c-net" }, { addresses }),
      /turnabout\.network=c-net/,
    );
  });

  it("is this host's in the host's network, where that is allowed", () => {
    const inHostNetwork = { addresses: new Map<string, string>(), networkMode: "host" };
    assert.equal(hostOf({}, inHostNetwork), "127.0.0.1");
    assert.match(refusal(LABELS, inHostNetwork), /allow it with --discover-host-network/);
  });

  const others = `localhost unix:/x 127.0.0.1:22# 10.0.0.1/8 0x7f.1 fe80::1%lo @10.0.0.1 127.0.0.1 127.8.9.10 0.0.0.0
    169.254.169.254 224.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:a9fe:a9fe 64:ff9b::7f00:1 fe80::1
    ff02::1 fd00:ec2::254 100.100.100.200 168.63.129.16`;
  for (const address of others.split(/\s+/)) {
    it(`is not ${address}, whatever the engine says`, () => {
      const reason = refusal(LABELS, { addresses: new Map([["bridge", address]]) });
      assert.match(reason, /^its address ".*" is not a container's: it is /);
    });
  }

  it("may be of IPv6", () => {
    assert.equal(hostOf({}, { addresses: new Map([["six", "fd00::2"]]) }), "fd00::2");
  });

  it("is missing without a network, and the reason names the network mode", () => {
    for (const networkMode of ["none", "container:abc", undefined]) {
      assert.match(
        refusal(LABELS, { addresses: new Map(), networkMode }),
        new RegExp(`the container has no address \\(network mode ${networkMode ?? "unknown"}\\)`),
      );
    }
  });
});

describe("an engine's list", () => {
  /** In pieces of so many bytes. */
  function read(text: string, pieceBytes = 7): ContainerList {
    const reader = new ContainerListReader();
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
    return reader.end();
  }

  it("loses what makes no sense, and what does not run", () => {
    const text = JSON.stringify([
      null,
      7,
      {},
      { Id: "x" },
      { Id: "p", State: "paused", Labels: {} },
      { Id: "i".repeat(MAX_DOCKER_ID_LENGTH + 1), State: "running" },
      {
        Id: "ok",
        State: "running",
        Labels: { "turnabout.a": 'b,]}\\"', "turnabout.c": 7, other: "x" },
        NetworkSettings: { Networks: null },
        Names: "odd",
        Created: 1e300,
      },
    ]);
    for (const pieceBytes of [1, 7, 10_000]) {
      const { containers, problems } = read(text.replace("null", '{"Id":}'), pieceBytes);
      const [only, ...rest] = containers;
      assert.deepEqual([rest, problems], [[], []]);
      assert.deepEqual(
        [only?.id, only?.name, only?.createdAtS, [...(only?.labels ?? [])]],
        ["ok", "ok", 0, [["turnabout.a", 'b,]}\\"']]],
      );
    }
  });

  it("loses a container that is too large, with a reason, and no other", () => {
    const running = { State: "running", Labels: {} };
    const labels = { pad: "x".repeat(MAX_DOCKER_CONTAINER_BYTES) };
    const large = { Id: "b".repeat(64), Names: ["/large"], State: "running", Labels: labels };
    const { containers, problems } = read(
      JSON.stringify([{ Id: "a", ...running }, large, { Id: "c", ...running }]),
      65_536,
    );
    assert.deepEqual(
      containers.map(({ id }) => id),
      ["a", "c"],
    );
    assert.deepEqual(
      problems.map(({ container: name }) => name),
      ["large"],
    );
    assert.match(problems[0]?.reason ?? "", /more than 524288 bytes/);
  });

  it("is read up to a number of containers", () => {
    const reader = new ContainerListReader();
    const one = JSON.stringify({ Id: "a", State: "running" });
    reader.push(Buffer.from(`[${`${one},`.repeat(MAX_DOCKER_CONTAINERS)}`));
    assert.equal(reader.isFull, false);
    reader.push(Buffer.from(`${one},`.repeat(3)));
    assert.equal(reader.isFull, true);
    const { containers, problems } = reader.end();
    assert.deepEqual([containers.length, problems.length], [MAX_DOCKER_CONTAINERS, 1]);
  });

  it("is refused if it is no list, or not whole", () => {
    for (const text of ["", "{", "{}", "null", '"x"', "[", "[1", "[{}", '["]', "[]]", "[}", "[] []"])
      assert.throws(() => read(text), TurnaboutError, text);
    for (const text of ["[]", " [ ] ", "[1]\n"]) assert.deepEqual(read(text).containers, [], text);
  });
});

describe("an engine's URL", () => {
  it("is a Unix socket or a TCP address", () => {
    assert.deepEqual(parseEngineUrl("unix:///var/run/docker.sock"), {
      kind: "unix",
      path: "/var/run/docker.sock",
    });
    assert.deepEqual(parseEngineUrl("unix:/var/run/docker.sock"), {
      kind: "unix",
      path: "/var/run/docker.sock",
    });
    assert.deepEqual(parseEngineUrl("tcp://[::1]:2375"), { kind: "tcp", host: "::1", port: 2375 });
  });

  it("is nothing else", () => {
    for (const text of [
      "",
      "/var/run/docker.sock",
      "localhost:2375",
      "ssh://x",
      "tcp://x",
      "tcp://x:0",
      "unix:",
    ]) {
      assert.throws(() => parseEngineUrl(text), /docker engine .*use unix:/);
    }
  });
});
