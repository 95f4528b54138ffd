// uWebSockets inside Bun. Prints its port.
const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch(request, server) {
    if (server.upgrade(request)) return
    return new Response('WebSocket only', { status: 426 })
  },
  websocket: {
    perMessageDeflate: false,
    maxPayloadLength: 64 * 1024 * 1024,
    backpressureLimit: 64 * 1024 * 1024,
    message(socket, message) {
      socket.send(message)
    },
  },
})
console.log(server.port)
