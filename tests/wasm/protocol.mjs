// The PostgreSQL protocol as far as one client needs it that never copies (PostgreSQL docs, "Message Formats").

const SSL_REQUEST = 80877103
const GSS_REQUEST = 80877104

export function message(type, body = Buffer.alloc(0)) {
  const out = Buffer.alloc(5 + body.length)
  out.write(type, 0, 'latin1')
  out.writeInt32BE(4 + body.length, 1)
  body.copy(out, 5)
  return out
}

export const text = (words) => Buffer.from(words + '\0', 'utf8')

/** Cuts a stream of bytes into messages: {startup}, {encryption: true} or {type, bytes}. */
export class Messages {
  #parts = []
  #size = 0
  #started = false

  add(bytes) {
    this.#parts.push(bytes)
    this.#size += bytes.length
  }

  next() {
    const head = this.#started ? 5 : 8
    if (this.#size < head) return null
    if (this.#parts[0].length < head) this.#parts = [Buffer.concat(this.#parts)]
    const length = this.#started ? 1 + this.#parts[0].readInt32BE(1) : this.#parts[0].readInt32BE(0)
    if (this.#size < length) return null
    const bytes = this.#take(length)
    if (this.#started) return { type: String.fromCharCode(bytes[0]), bytes }
    const code = bytes.readInt32BE(4)
    if (code === SSL_REQUEST || code === GSS_REQUEST) return { encryption: true }
    this.#started = true
    return { startup: bytes.subarray(8).toString('utf8').split('\0') }
  }

  #take(length) {
    const all = Buffer.concat(this.#parts)
    this.#parts = length < all.length ? [all.subarray(length)] : []
    this.#size -= length
    return all.subarray(0, length)
  }
}
