// An emulator of Entra ID and managed identity for `node --test`.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** Starts the emulator; gives the facts of its ready file and `stop()`. */
export async function startEntrant() {
  const ready = join(mkdtempSync(join(tmpdir(), "entrant-")), "ready.json");
  const child = spawn(process.env.ENTRANT_BIN ?? "entrant", ["emulator", "--ports", "auto", "--ready-file", ready], { stdio: "ignore" });
  for (let waited = 0; !existsSync(ready); waited += 50) {
    if (child.exitCode !== null || waited > 30_000) throw new Error("the emulator did not become ready");
    await pause(50);
  }
  return { ...JSON.parse(readFileSync(ready, "utf8")), stop: () => child.kill() };
}
