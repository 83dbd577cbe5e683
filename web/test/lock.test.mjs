// The lock files work for everybody: they name packages and their hashes, no place to fetch them from.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

for (const lock of ["../package-lock.json", "../../tests/browser/package-lock.json"]) {
  test(`${lock} names no host`, async () => {
    const text = await readFile(new URL(lock, import.meta.url), "utf8");
    assert.doesNotMatch(text, /"resolved"|:\/\//);
    for (const [path, { integrity, version }] of Object.entries(JSON.parse(text).packages)) {
      if (path !== "") assert.ok(integrity?.startsWith("sha512-") && version, path);
    }
  });
}
