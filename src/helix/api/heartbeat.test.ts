import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MAX_HEARTBEAT_COMPLAINTS, MAX_HEARTBEAT_DISKS, MAX_HEARTBEAT_GPUS } from "../limits.ts";
import { heartbeatSchema, readHeartbeat } from "./heartbeat.ts";
import type { HeartbeatReading } from "./heartbeat.ts";

const GIB = 1024 ** 3;
const NO_GPU_FIGURES = {
  index: 0,
  model_name: null,
  vendor: null,
  total_memory: null,
  used_memory: null,
  used_percent: null,
  utilization_percent: null,
  temperature_celsius: null,
};

function read(body: unknown): HeartbeatReading {
  return readHeartbeat(JSON.stringify(body), true);
}

function mount(used_percent: unknown, mount_point = "/"): object {
  return { mount_point, total_bytes: 100, used_bytes: 50, avail_bytes: 50, used_percent };
}

describe("a heartbeat's GPUs", () => {
  it("are read from Helix's inventory, in bytes and as a share", () => {
    const { beat, ignored } = read({
      gpus: [
        {
          index: 1,
          model_name: "NVIDIA H100 PCIe",
          total_memory: 80 * GIB,
          used_memory: 60 * GIB,
          free_memory: 20 * GIB,
          driver_version: "570.211.01",
          sdk_version: "",
          vendor: "nvidia",
          architecture: "hopper",
          compute_capability: "9.0",
        },
      ],
    });
    assert.deepEqual(ignored, []);
    assert.deepEqual(beat.gpus, [
      {
        ...NO_GPU_FIGURES,
        index: 1,
        model_name: "NVIDIA H100 PCIe",
        vendor: "nvidia",
        total_memory: 80 * GIB,
        used_memory: 60 * GIB,
        used_percent: 75,
      },
    ]);
  });

  it("are read from Wolf's own figures where there is no list", () => {
    const gpu_stats = {
      available: true,
      gpu_name: "RTX 4090",
      encoder_utilization_percent: 12,
      gpu_utilization_percent: 99,
      memory_utilization_percent: 9,
      memory_used_mb: 6_144,
      memory_total_mb: 24_576,
      temperature_celsius: 71,
      query_duration_ms: 61,
      error: "",
    };
    const [gpu] = read({ gpu_stats }).beat.gpus ?? [];
    assert.deepEqual(gpu, {
      index: 0,
      model_name: "RTX 4090",
      vendor: null,
      total_memory: 24 * GIB,
      used_memory: 6 * GIB,
      used_percent: 25,
      utilization_percent: 99,
      temperature_celsius: 71,
    });
    const both = read({ gpu_stats, gpus: [{ model_name: "listed" }] }).beat.gpus;
    assert.deepEqual(
      both?.map(({ model_name }) => model_name),
      ["listed"],
    );
    assert.equal(read({ gpu_stats: { ...gpu_stats, available: false } }).beat.gpus, undefined);
    assert.equal(read({ gpu_stats: null }).beat.gpus, undefined);
  });

  it("have the memory in use that can be derived", () => {
    for (const [fields, percent] of [
      [{ total_memory: 100, used_memory: 40 }, 40],
      [{ total_memory: 100, free_memory: 5 }, 95],
      [{ total_memory: 100, free_memory: 200 }, 0],
      [{ total_memory: 100, used_memory: 250 }, 100],
      [{ total_memory: 100, used_memory: 40, used_percent: 99 }, 40],
      [{ used_percent: 82.5 }, 82.5],
      [{ used_percent: 100.2 }, 100],
      [{ used_percent: -3 }, 0],
      [{ total_memory: 0, used_memory: 0 }, null],
      [{ total_memory: 0, used_memory: 0, used_percent: 12 }, 12],
      [{ used_memory: 40 }, null],
      [{}, null],
    ] as const) {
      const { beat, ignored } = read({ gpus: [fields] });
      assert.equal(beat.gpus?.[0]?.used_percent, percent, JSON.stringify(fields));
      assert.deepEqual(ignored, []);
    }
    const { beat } = read({ gpus: [{ utilization_percent: 101 }, { gpu_utilization_percent: -1 }] });
    assert.deepEqual(
      beat.gpus?.map(({ index, utilization_percent }) => [index, utilization_percent]),
      [
        [0, 100],
        [1, 0],
      ],
    );
  });

  it("lose only the field that does not match", () => {
    const { beat, ignored } = read({
      max_sandboxes: 7,
      gpus: [
        "none",
        {
          index: 3,
          total_memory: 100,
          used_memory: 96,
          temperature_celsius: "[N/A]",
          vendor: "v".repeat(51),
        },
        { used_memory: -1, used_percent: 81 },
      ],
    });
    assert.equal(beat.max_sandboxes, 7);
    assert.deepEqual(beat.gpus, [
      { ...NO_GPU_FIGURES, index: 3, total_memory: 100, used_memory: 96, used_percent: 96 },
      { ...NO_GPU_FIGURES, index: 2, used_percent: 81 },
    ]);
    assert.deepEqual(
      ignored.map((complaint) => complaint.split(":", 1)[0]),
      ["gpus.0", "gpus.1.vendor", "gpus.1.temperature_celsius", "gpus.2.used_memory"],
    );
  });

  it("are the first ones of a longer list", () => {
    const { beat, ignored } = read({ gpus: Array.from({ length: 1_000 }, () => ({})) });
    assert.equal(beat.gpus?.length, MAX_HEARTBEAT_GPUS);
    assert.deepEqual(ignored, [`gpus: only the first ${MAX_HEARTBEAT_GPUS} are used`]);
  });
});

describe("a heartbeat's body", () => {
  it("may be missing; anything but an object is named", () => {
    for (const [text, isAnnounced, ignored] of [
      ["", false, []],
      ["", true, ["body: empty"]],
      [" \n", true, ["body: empty"]],
      ["null", true, []],
      ["{", true, ["body: not JSON"]],
      ["gpu=1", true, ["body: not JSON"]],
      ["[]", true, ["body: not an object"]],
      ['"text"', true, ["body: not an object"]],
      ["{}", true, []],
    ] as const) {
      const reading = readHeartbeat(text, isAnnounced);
      assert.deepEqual(reading.ignored, ignored, text);
      assert.deepEqual(new Set(Object.values(reading.beat)), new Set([undefined]), text);
    }
  });

  it("loses a field that does not match, and keeps the others", () => {
    const good = { max_sandboxes: 3, gpu_vendor: "amd", privileged_mode_enabled: true, render_node: "r" };
    for (const [bad, ...names] of [
      [{ max_sandboxes: -1 }, "max_sandboxes"],
      [{ max_sandboxes: 1.5 }, "max_sandboxes"],
      [{ max_sandboxes: "20" }, "max_sandboxes"],
      [{ privileged_mode_enabled: "yes" }, "privileged_mode_enabled"],
      [{ gpu_vendor: {} }, "gpu_vendor"],
      [{ desktop_versions: [] }, "desktop_versions"],
      [{ desktop_versions: { "secret name": 1 } }, "desktop_versions"],
      [
        { desktop_versions: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [i, ""])) },
        "desktop_versions",
      ],
      [{ disk_usage: "full" }, "disk_usage"],
      [{ disk_usage: [{ mount_point: "/" }] }, "disk_usage.0.total_bytes"],
      [{ container_usage: [1] }, "container_usage.0"],
      [{ gpus: {} }, "gpus"],
      [{ gpu_stats: [] }, "gpu_stats"],
    ] as [object, ...string[]][]) {
      const { beat, ignored } = read({ ...good, ...bad });
      assert.deepEqual(
        ignored.map((complaint) => complaint.split(":", 1)[0]),
        names,
      );
      const [field = ""] = Object.keys(bad);
      const kept = Object.entries(beat).filter(([, value]) => value !== undefined);
      const expected = Object.entries(good).filter(([name]) => name !== field);
      assert.deepEqual(Object.fromEntries(kept), Object.fromEntries(expected), field);
    }
  });

  it("keeps the disks that match; a list without a match counts as missing", () => {
    const { beat, ignored } = read({ disk_usage: [mount("85 %", "/a"), mount(96, "/b"), 5] });
    assert.deepEqual(
      beat.disk_usage?.map(({ mount_point }) => mount_point),
      ["/b"],
    );
    assert.equal(ignored.length, 2);
    assert.equal(read({ disk_usage: [mount("85 %")] }).beat.disk_usage, undefined);
    assert.deepEqual(read({ disk_usage: [] }).beat.disk_usage, []);
  });

  it("is bounded, as are the complaints about it, which repeat none of its values", () => {
    const disks = Array.from({ length: 5_000 }, (_, i) => mount(`s3cret ${i}`));
    const { beat, ignored } = read({ disk_usage: [mount(50), ...disks], s3cret: 1 });
    assert.equal(beat.disk_usage?.length, 1);
    assert.equal(ignored.length, MAX_HEARTBEAT_COMPLAINTS);
    assert.equal(ignored[0], `disk_usage: only the first ${MAX_HEARTBEAT_DISKS} are used`);
    assert.ok(!ignored.join().includes("s3cret"));
  });

  it("is read whatever it holds: what is taken is valid, and what is valid is taken without complaint", () => {
    const value = fc.oneof(fc.jsonValue(), fc.double(), fc.constant(null));
    const strange = fc.record(
      {
        max_sandboxes: value,
        disk_usage: fc.oneof(value, fc.array(value.map((used) => mount(used)))),
        gpus: fc.oneof(
          value,
          fc.array(fc.record({ total_memory: value, used_memory: value, used_percent: value, index: value })),
        ),
        gpu_stats: value,
        desktop_versions: value,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(strange, fc.jsonValue()), (body) => {
        const { beat, ignored } = read(body);
        for (const { used_percent } of beat.gpus ?? []) {
          assert.ok(used_percent === null || (used_percent >= 0 && used_percent <= 100));
        }
        const text = JSON.stringify(body);
        if (heartbeatSchema.safeParse(JSON.parse(text)).success) assert.deepEqual(ignored, [], text);
      }),
    );
  });
});
