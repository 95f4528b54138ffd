// npm's `ws` with its optional bufferutil, as its users write it. A server prints its port.
const { WebSocket, WebSocketServer } = require('ws')
const { BENCH_ROLE: role, BENCH_DEFLATE: level, BENCH_TAKEOVER: takeover } = process.env

if (role === 'send') {
  sendAll()
} else {
  const noTakeover = takeover === '0'
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    perMessageDeflate: level && {
      zlibDeflateOptions: level === 'default' ? {} : { level: Number(level) },
      serverNoContextTakeover: noTakeover,
      clientNoContextTakeover: noTakeover,
    },
  }, () => console.log(server.address().port))
  server.on('connection', (socket) => {
    socket.on('error', () => {})
    socket.on('message', (data, isBinary) => {
      if (role === 'fan-out') server.clients.forEach((client) => client.send(data, { binary: isBinary }))
      else socket.send(data, { binary: isBinary })
    })
  })
}

function sendAll() {
  const message = Buffer.from(Array.from({ length: Number(process.env.BENCH_SIZE) }, (_, i) => 32 + (i % 95)))
  const socket = new WebSocket(`ws://127.0.0.1:${process.env.BENCH_PORT}/`, { perMessageDeflate: false })
  const fill = () => {
    for (let i = 0; i < 1024 && socket.bufferedAmount < 1 << 20; i++) socket.send(message)
    setImmediate(fill)
  }
  socket.on('open', fill)
  socket.on('error', () => {})
  socket.on('close', () => process.exit())
}
