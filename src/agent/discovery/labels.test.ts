import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Container } from "./containers.ts";
import { parseContainers } from "./containers.ts";
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
    runnerOf(container(labels, rest));
  } catch (error) {
    assert.ok(error instanceof TurnaboutError && error.code === "config_invalid");
    return error.message;
  }
  assert.fail("it was accepted");
}

function hostOf(labels: Record<string, string>, rest: Partial<Container>): string {
  const address = runnerOf(container({ ...LABELS, ...labels }, rest)).targets[0]?.address;
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
    assert.deepEqual(runnerOf(container(labels)), {
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

  it("is this host's in the host's network", () => {
    assert.equal(hostOf({}, { addresses: new Map(), networkMode: "host" }), "127.0.0.1");
  });

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
  it("loses what makes no sense, and what does not run", () => {
    const text = JSON.stringify([
      null,
      7,
      {},
      { Id: "x" },
      { Id: "p", State: "paused", Labels: {} },
      {
        Id: "ok",
        State: "running",
        Labels: { a: "b", c: 7 },
        NetworkSettings: { Networks: null },
        Names: "odd",
      },
    ]);
    const [only, ...rest] = parseContainers(text);
    assert.deepEqual(rest, []);
    assert.deepEqual([only?.id, only?.name, [...(only?.labels ?? [])]], ["ok", "ok", [["a", "b"]]]);
  });

  it("is refused if it is no list", () => {
    for (const text of ["", "{", "{}", "null", '"x"'])
      assert.throws(() => parseContainers(text), TurnaboutError);
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
