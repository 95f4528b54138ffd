// uWebSockets inside Bun, and Bun's client. A server prints its port.
const { BENCH_ROLE: role, BENCH_DEFLATE: level, BENCH_TAKEOVER: takeover, BENCH_CERT: cert, BENCH_KEY: key } = process.env

if (role === 'send') {
  sendAll()
} else {
  // The level is Bun's; "dedicated" keeps a context for each connection.
  const compressor = takeover === '1' ? 'dedicated' : 'shared'
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    tls: cert && { cert: Bun.file(cert), key: Bun.file(key) },
    fetch(request, server) {
      if (server.upgrade(request)) return
      return new Response('WebSocket only', { status: 426 })
    },
    websocket: {
      perMessageDeflate: level ? { compress: compressor, decompress: compressor } : false,
      maxPayloadLength: 64 * 1024 * 1024,
      backpressureLimit: 64 * 1024 * 1024,
      open(socket) {
        if (role === 'fan-out') socket.subscribe('all')
      },
      message(socket, message) {
        if (role === 'fan-out') server.publish('all', message)
        else socket.send(message, level !== undefined)
      },
    },
  })
  console.log(server.port)
}

function sendAll() {
  const message = Uint8Array.from({ length: Number(process.env.BENCH_SIZE) }, (_, i) => 32 + (i % 95))
  const socket = new WebSocket(`ws://127.0.0.1:${process.env.BENCH_PORT}/`)
  const fill = () => {
    for (let i = 0; i < 1024 && socket.bufferedAmount < 1 << 20; i++) socket.send(message)
    setImmediate(fill)
  }
  socket.onopen = fill
  socket.onclose = () => process.exit()
}
