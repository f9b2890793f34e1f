import dns from 'node:dns'
import { existsSync } from 'node:fs'

// Loaded into the processes of Sluice (NODE_OPTIONS=--import). While the file exists, no name resolves.
const file = process.env.CHAOS_NO_NAMES ?? ''
const lookup = dns.lookup

type Callback = (error: Error | null, ...found: unknown[]) => void

dns.lookup = ((name: string, ...rest: unknown[]) => {
  if (!existsSync(file)) return (lookup as (...args: unknown[]) => void)(name, ...rest)
  const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), {
    code: 'ENOTFOUND',
    hostname: name,
  })
  queueMicrotask(() => (rest.at(-1) as Callback)(error))
}) as typeof dns.lookup
