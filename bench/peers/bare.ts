import { servePeer } from './app.ts'

/** A: parses JSON, asks for credentials, stores nothing. A2 keeps its answers for 1 ms and sends them together. */
const held: (() => void)[] = []

function release(): void {
  for (const answer of held.splice(0)) answer()
}

await servePeer(
  process.argv[2] === 'batched'
    ? () =>
        new Promise<void>((resolve) => {
          if (held.push(resolve) === 1) setTimeout(release, 1)
        })
    : () => undefined,
)
