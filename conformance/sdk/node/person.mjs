#!/usr/bin/env node
// A person at a browser, for clients that open one: `BROWSER=person.mjs`.
import { answerOf } from "./system.mjs";

// The client that opened the browser waits for it to come back, and for this process to end: so it does both at once.
const location = await answerOf(process.argv[2]);
await fetch(location);
