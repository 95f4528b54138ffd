// A server that echoes and a client, with events awaited on the main thread.

import wsplug, { BINARY, TEXT } from "./wsplug.mjs";

const shown = ({ kind, data }) => (kind === TEXT ? `text ${data}` : `binary ${data.toString("hex")}`);
const closed = ({ context }) => `close ${context.code} ${context.reason}`;

/** What came and nobody has asked for yet, and who waits for something to come. */
class Inbox {
    #came = [];
    #waiting = [];
    put(what) { this.#waiting.length ? this.#waiting.shift()(what) : this.#came.push(what); }
    async take() { return this.#came.length ? this.#came.shift() : new Promise((resolve) => this.#waiting.push(resolve)); }
}
const fromServer = new Inbox(), fromClient = new Inbox();
let echo;

async function handleEvents() {
    for await (const event of wsplug.events()) {
        const { server, client, type } = event;
        if (server === 0) {
            if (type === "message") fromClient.put(shown(event));
            if (type === "close") fromClient.put(closed(event));
        } else if (server === echo) {
            if (type === "open") {
                console.log("server: open", event.context.uri);
                wsplug.clientSend(client, TEXT, "welcome");
            } else if (type === "message") {
                console.log("server:", shown(event));
                wsplug.clientSend(client, event.kind, event.data);
            } else if (type === "close") {
                fromServer.put(closed(event));
            }
        }
    }
}

function connect(port, path, options) {
    const url = `ws://127.0.0.1:${port}${path}`;
    const { ref } = wsplug.clientCreate({ url, enableAutomaticReconnection: false, ...options });
    wsplug.clientStart(ref, { wait: false });
    return ref;
}

console.log("interface", wsplug.abiVersion());
try {
    wsplug.serverCreate({ port: 80000 });
} catch (error) {
    console.log(`refused: ${error.name}, ${error.message}`);
}

const handling = handleEvents();
echo = wsplug.serverCreate({ port: 0 }).ref;
const client = connect(wsplug.serverStart(echo).port, "/echo?name=ann");
console.log("client:", await fromClient.take());
wsplug.clientSend(client, TEXT, "Grüße, 世界");
console.log("client:", await fromClient.take());
wsplug.clientSend(client, BINARY, Buffer.from([0, 255, 128, 1]));
console.log("client:", await fromClient.take());
wsplug.clientStop(client, { code: 4000, reason: "done", wait: false });
console.log("server:", await fromServer.take());
console.log("client:", await fromClient.take());

// A server that answers no ping looks as one whose machine is gone.
const deaf = wsplug.serverCreate({ port: 0, enablePong: false }).ref;
connect(wsplug.serverStart(deaf).port, "/", { pingInterval: 0.2, pingTimeout: 0.2 });
console.log("client:", await fromClient.take());

wsplug.eventWake();
await handling;
console.log("shutdown:", wsplug.statusText(wsplug.shutdown(5000)));
