// One side of the conversation that tests/interop.rs describes, with Node's ws: `server`, `server SOCKET`, or `client URL`.
'use strict';
const assert = require('node:assert');
const { once, on } = require('node:events');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { WebSocket, WebSocketServer } = require('ws');

const MIB = 1 << 20;
// Over TLS: a server has a certificate and its key, a client the authority that it believes.
const read = (name) => process.env[name] && readFileSync(process.env[name]);
const [cert, key, ca] = ['PEER_CERT', 'PEER_KEY', 'PEER_CA'].map(read);

async function server(socket) {
  const own = cert ? https.createServer({ cert, key }).listen(0, '127.0.0.1') : socket && http.createServer().listen(socket);
  const listening = new WebSocketServer({
    ...(own ? { server: own } : { host: '127.0.0.1', port: 0 }), maxPayload: 16 * MIB,
    handleProtocols: (offered) => (offered.has('two') ? 'two' : false),
  });
  listening.on('connection', (socket) => {
    let numbers = 0, askedToClose = false, quit = false;
    socket.on('message', (data, isBinary) => {
      const [word, first, rest] = (!isBinary && /^(\w+) ?(\S*) ?(.*)/.exec(data.subarray(0, 200))?.slice(1)) || [];
      if (word === 'close') {
        askedToClose = true;
        socket.close(Number(first), rest);
      } else if (word === 'ping') {
        socket.once('pong', (payload) => socket.send(`pong ${payload}`));
        socket.ping(first);
      } else if (word === 'quit') {
        quit = true;
      } else if (word === 'number' && Number(first) !== numbers) {
        socket.close(4000, `${first} instead of ${numbers}`);
      } else {
        if (word === 'number') numbers += 1;
        socket.send(data, { binary: isBinary });
      }
    });
    socket.on('close', (code, reason) => {
      const end = askedToClose ? `closed ${code}` : `close ${code} ${reason} after ${numbers} numbers`;
      console.log(`protocol "${socket.protocol}", ${end}`);
      if (quit) {
        listening.close();
        own?.close();
      }
    });
  });
  await once(listening, 'listening');
  console.log('listening', socket ?? listening.address().port);
  await once(listening, 'close');
}

async function client(url) {
  const connected = async (protocols) => {
    const socket = new WebSocket(url, protocols, { maxPayload: 16 * MIB, ca });
    socket.messages = on(socket, 'message'); // keeps what comes before it is asked for
    socket.closed = once(socket, 'close');
    await once(socket, 'open');
    return socket;
  };
  const received = async (socket) => {
    const [data, isBinary] = (await socket.messages.next()).value;
    return isBinary ? data : data.toString();
  };
  const expectClose = async (socket, code, reason) => {
    const [seenCode, seenReason] = await socket.closed;
    assert.equal(seenCode, code);
    if (reason !== undefined) assert.equal(seenReason.toString(), reason);
  };
  const bytes = (length) => Buffer.from(Uint8Array.from({ length }, (_, i) => i));

  let socket = await connected(['one', 'two']);
  assert.equal(socket.protocol, 'two');
  for (const message of ['', 'Grüße, 世界 👋', bytes(0), bytes(256), 'é'.repeat(8 * MIB), bytes(16 * MIB)]) {
    socket.send(message);
    const echo = await received(socket);
    assert(Buffer.isBuffer(message) ? message.equals(echo) : message === echo, `echo of ${message.slice(0, 20)} differs`);
  }

  socket.ping('anyone there?');
  assert.equal(String(await once(socket, 'pong')), 'anyone there?');
  socket.send('ping here-too');
  assert.equal(await received(socket), 'pong here-too');

  const numbers = Array.from({ length: 1000 }, (_, n) => `number ${n} ${'x'.repeat((n * 7) % 1000)}`);
  for (const number of numbers) socket.send(number);
  for (const number of numbers) assert.equal(await received(socket), number);
  socket.close(1000, 'bye');
  await expectClose(socket, 1000);

  for (const [code, reason] of [[3000, 'three thousand'], [4999, 'déjà vu ✓']]) {
    socket = await connected();
    assert.equal(socket.protocol, '');
    socket.close(code, reason);
    await expectClose(socket, code);
  }

  for (const [code, reason] of [[1000, 'done'], [3000, 'three thousand'], [4999, 'déjà vu ✓']]) {
    socket = await connected();
    socket.send(`close ${code} ${reason}`);
    await expectClose(socket, code, reason);
  }

  socket = await connected();
  socket.send('quit');
  socket.close(1000, 'over');
  await expectClose(socket, 1000);
}

const [role, url] = process.argv.slice(2);
setTimeout(() => assert.fail('not done after a minute'), 60000).unref();
({ server, client })[role](url);
