// peer.js server|client ARGUMENT OPTIONS: npm `ws` under Node, or Bun's own WebSocket, with their own compression.
// As peer.py; OPTIONS are what `ws` and Bun call perMessageDeflate.
'use strict';

const [role, argument, json] = process.argv.slice(2);
const options = JSON.parse(json);
const tell = (what) => console.log(JSON.stringify(what));
const fail = (why) => { console.error(`peer.js: ${why}`); process.exit(1); };

function* messages() {
    let seed = 1;
    for (let n = 0; n < 200; n++) {
        const size = [0, 1, 100, 1023, 1024, 5000, 40000, 70000][n % 8] + n;
        let text = '';
        while (text.length < size) {
            seed = (seed * 48271) % 2147483647;
            text += `${seed % 997} customer `;
        }
        text = text.slice(0, size);
        yield n % 3 === 0 ? Buffer.from(text) : text;
    }
}

// Sends one after the other; the caller hands over what comes back.
function talk(send, over) {
    const left = messages();
    let sent;
    const next = () => {
        const { value, done } = left.next();
        if (done) return over();
        sent = value;
        send(value);
    };
    next();
    return (data) => {
        const isText = typeof data === 'string';
        if (isText !== (typeof sent === 'string') || !Buffer.from(data).equals(Buffer.from(sent))) fail(`${sent.length} sent, ${data.length} others came back`);
        next();
    };
}

setTimeout(() => fail('took too long'), 60000).unref();

if (typeof Bun === 'undefined') {
    const { WebSocket, WebSocketServer } = require(`${process.env.WS_MODULES}/ws`);
    const run = (socket, done) => {
        const heard = talk((data) => socket.send(data), () => {
            const [name, { params }] = Object.entries(socket._extensions)[0];
            tell({ agreed: `${name} ${JSON.stringify(params)}`, messages: 200 });
            socket.close();
            done();
        });
        socket.on('message', (data, isBinary) => heard(isBinary ? data : data.toString()));
        socket.on('error', (error) => fail(error));
    };
    if (role === 'client') {
        const socket = new WebSocket(argument, { perMessageDeflate: options });
        socket.on('error', (error) => fail(error));
        socket.on('open', () => run(socket, () => {}));
    } else {
        const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: options });
        server.on('listening', () => tell({ port: server.address().port }));
        server.on('connection', (socket) => run(socket, () => server.close()));
    }
} else if (role === 'client') {
    const socket = new WebSocket(argument, options);
    socket.binaryType = 'arraybuffer';
    let heard;
    socket.onopen = () => {
        heard = talk((data) => socket.send(data), () => {
            tell({ agreed: socket.extensions, messages: 200 });
            socket.close();
        });
    };
    socket.onmessage = ({ data }) => heard(typeof data === 'string' ? data : Buffer.from(data));
    socket.onclose = ({ code }) => process.exit(code === 1000 || code === 1005 ? 0 : fail(`closed with ${code}`));
} else {
    let heard;
    const server = Bun.serve({
        hostname: '127.0.0.1',
        port: 0,
        fetch: (request, server) => (server.upgrade(request) ? undefined : new Response('no')),
        websocket: {
            perMessageDeflate: options,
            open(socket) {
                heard = talk((data) => socket.send(data, true), () => {
                    tell({ messages: 200 });
                    socket.close();
                });
            },
            message: (socket, data) => heard(data),
            close: () => server.stop(),
        },
    });
    tell({ port: server.port });
}
