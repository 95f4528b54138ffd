// The rest of the Node wrapper: what the scenario does not use.
import assert from "node:assert/strict";
import koffi from "koffi";
import wsplug, { BINARY, OK, TEXT, UNKNOWN_REF, WsplugError } from "./wsplug.mjs";

const server = wsplug.serverCreate({ port: 0, worker: "me", window: 7 }).ref;
const { port } = wsplug.serverStart(server);
const client = wsplug.clientCreate({ url: `ws://127.0.0.1:${port}/`, name: "ann" }).ref;
const events = wsplug.events();
const next = async () => (await events.next()).value;
wsplug.clientStart(client, { wait: false });

const opened = {};
while (Object.keys(opened).length < 2) {
    const event = await next();
    opened[event.server] = event;
}
const accepted = opened[server].client;
assert.deepEqual([opened[server].type, opened[server].worker, opened[server].window], ["open", "me", 7]);

assert.equal(wsplug.clientFind("ann"), client);
wsplug.clientSetValue(client, "clé", "wérté");
assert.equal(wsplug.clientGetValue(client, "clé"), "wérté");
assert.equal(wsplug.clientGetValue(client, "x"), null);
assert.deepEqual(wsplug.serverClients(server), [accepted]);
assert.equal(wsplug.clientInfo(client).state, "open");
assert.equal(wsplug.info().version, wsplug.version());

const big = Buffer.alloc(400000, Buffer.from([0, 1, 254, 255]));
const statuses = wsplug.serverSend(server, BINARY, big, { clients: [accepted, 999] });
assert.deepEqual(statuses.map(({ success }) => success), [true, false]);
assert.deepEqual((await next()).data, big);
wsplug.clientSend(client, TEXT, "");
assert.equal((await next()).data, "");

// A callback, pumped on the main thread.
const came = [];
const onEvent = koffi.register((server, client, type) => came.push(type), "wsplug_event_callback *");
wsplug.setMethod("pumped", onEvent, null, null);
const own = wsplug.clientCreate({ url: `ws://127.0.0.1:${port}/`, method: "pumped", dispatch: "pump" }).ref;
wsplug.clientStart(own);
while (!came.includes("open")) assert(wsplug.pump(30000, 1) > 0);

assert.throws(() => wsplug.clientSend(999, TEXT, "late"), (error) =>
    error instanceof WsplugError && error.status === UNKNOWN_REF && error.name === "unknown_ref" && /999/.test(error.message));
assert.throws(() => wsplug.clientFind("bob"), { status: UNKNOWN_REF });
wsplug.eventWake();
for (let event; (event = await events.next()) && !event.done;);
assert.equal(wsplug.shutdown(30000), OK);
