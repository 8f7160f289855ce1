// What both Node clients are asked to do, over a thin common surface: `raw(words…)` sends any command.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

// Over several re-AUTHs, which come every 100 ms.
const SEVERAL = 400;

async function for_a_while(work) {
  const end = Date.now() + SEVERAL;
  for (let round = 0; Date.now() < end; round += 1) await work(round);
}

// Replies that RESP2 and RESP3 shape differently, as plain JSON.
const shape = (reply) => JSON.stringify(reply instanceof Map ? Object.fromEntries(reply) : reply);

export const cases = {
  async "commands of every type"(open, key) {
    const client = await open();
    await for_a_while(async () => {
      assert.equal(await client.raw("SET", key("k"), "v"), "OK");
      assert.equal(await client.raw("GET", key("k")), "v");
      assert.equal(await client.raw("GET", key("none")), null);
      await client.raw("DEL", key("h"), key("l"));
      assert.equal(await client.raw("HSET", key("h"), "a", "1"), 1);
      assert.match(shape(await client.raw("HGETALL", key("h"))), /"a".*"1"/);
      assert.equal(await client.raw("RPUSH", key("l"), "1", "2", "3"), 3);
      assert.deepEqual(await client.raw("LRANGE", key("l"), "0", "-1"), ["1", "2", "3"]);
      await assert.rejects(client.raw("LPUSH", key("k"), "no"), /WRONGTYPE/);
    });
  },

  async "values of any size"(open, key) {
    const client = await open();
    for (const value of ["", "\r\n$3\r\n", "x".repeat(5 << 20)]) {
      await client.raw("SET", key("large"), value);
      assert.equal(await client.raw("GET", key("large")), value);
    }
  },

  async "two thousand commands at once, without waiting"(open, key) {
    const client = await open();
    await for_a_while(async () => {
      const replies = [];
      for (let number = 0; number < 1000; number += 1) {
        replies.push(client.raw("SET", key(`p${number % 50}`), String(number)));
        replies.push(client.raw("GET", key(`p${number % 50}`)));
      }
      const all = await Promise.all(replies);
      all.forEach((reply, at) => assert.equal(reply, at % 2 ? String((at - 1) / 2) : "OK"));
    });
  },

  async "a transaction held open, and a watched key"(open, key) {
    const [client, other] = [await open(), await open()];
    await client.raw("SET", key("n"), "0");
    assert.equal(await client.raw("MULTI"), "OK");
    assert.equal(await client.raw("INCR", key("n")), "QUEUED");
    await pause(SEVERAL);
    assert.equal(await client.raw("INCR", key("n")), "QUEUED");
    assert.deepEqual(await client.raw("EXEC"), [1, 2]);
    for (const touched of [false, true]) {
      await client.raw("WATCH", key("n"));
      await pause(SEVERAL);
      if (touched) await other.raw("SET", key("n"), "7");
      await client.raw("MULTI");
      await client.raw("INCR", key("n"));
      assert.deepEqual(await client.raw("EXEC"), touched ? null : [3]);
    }
  },

  async "blocking commands"(open, key) {
    const [client, other] = [await open(), await open()];
    for (let number = 0; number < 3; number += 1) {
      const popped = client.raw("BLPOP", key("q"), "10");
      await pause(SEVERAL);
      await other.raw("RPUSH", key("q"), String(number));
      assert.deepEqual(await popped, [key("q"), String(number)]);
    }
    assert.equal(await client.raw("BLPOP", key("q"), "0.2"), null);
  },

  async scripts(open, key) {
    const client = await open();
    const sha = await client.raw("SCRIPT", "LOAD", "return redis.call('incr', KEYS[1])");
    await client.raw("SET", key("s"), "0");
    await for_a_while(async (round) => {
      assert.equal(await client.raw("EVALSHA", sha, "1", key("s")), round + 1);
      assert.deepEqual(await client.raw("EVAL", "return {1, {'x'}, ARGV[1]}", "0", "a"), [1, ["x"], "a"]);
    });
  },

  // In RESP2 some may come twice while the subscriber moves.
  async "pub/sub: no numbered message is missing"(open, key, resp3) {
    const publisher = await open();
    const subscriber = await open();
    let [last, twice] = [-1, 0];
    let done;
    const all = new Promise((resolve) => (done = resolve));
    await subscriber.subscribe(key("c"), (text) => {
      const number = Number(text);
      if (number > last + 1) return done(new Error(`${number} after ${last}: a message is missing`));
      if (number <= last) twice += 1;
      last = Math.max(last, number);
      if (last === 999) done();
    });
    for (let number = 0; number < 1000; number += 1) {
      await publisher.raw("PUBLISH", key("c"), String(number));
      await pause(1);
    }
    const late = pause(10_000, new Error("messages are missing at the end"), { ref: false });
    const failure = await Promise.race([all, late]);
    if (failure) throw failure;
    assert.ok(!resp3 || twice === 0, `${twice} came twice`);
  },

  async "credentials, a name and a database of its own"(open, key) {
    const client = await open({ username: "anybody", password: "anything", database: 3, name: "worker" });
    await client.raw("SET", key("db"), "three");
    await for_a_while(async () => {
      assert.equal(await client.raw("GET", key("db")), "three");
      assert.equal(await client.raw("CLIENT", "GETNAME"), "worker");
      assert.notEqual(await client.raw("ACL", "WHOAMI"), "anybody");
    });
    assert.equal(await (await open()).raw("GET", key("db")), null);
  },

  async "fifty clients"(open, key) {
    const clients = await Promise.all(Array.from({ length: 50 }, () => open()));
    const work = async (client, number) => {
      for (let count = 0; count < 40; count += 1) {
        await client.raw("SET", key(`t${number}`), String(count));
        assert.equal(await client.raw("GET", key(`t${number}`)), String(count));
      }
    };
    await Promise.all(clients.map(work));
  },
};

/** Runs all cases; `connect(options)` gives a client with `raw`, `subscribe` and `close`. */
export async function run(name, versions, connect) {
  for (const version of versions) {
    for (const [sentence, work] of Object.entries(cases)) {
      console.log(`${name}, RESP${version}: ${sentence}`);
      const opened = [];
      const open = async (options = {}) => {
        const client = await connect({ ...options, version });
        opened.push(client);
        return client;
      };
      await work(open, (word) => `${name}:${word}`, version === 3);
      await Promise.all(opened.map((client) => client.close()));
    }
  }
  process.exit(0);
}
