/** A body that a sequence may send. Bodies with the same `key` are one event, of which only one body can land. */
export type Body = {
  readonly name: string
  readonly key: string
  readonly environment: string
  readonly eventId: string | null
  readonly journeyId: string | null
  readonly bytes: Buffer
  /** The database refuses rows with this reference until the act `repair`. */
  readonly poison: string | null
}

export const POISONS = ['poison-1', 'poison-2', 'poison-3']

const shared = { id: 'constructor', journey: 'journey-1' }

export const BODIES: readonly Body[] = [
  ...event('first', { ...shared }, [{ a: 1 }, { a: 2 }, { a: 3, text: '\0 \ud800 é' }]),
  ...event('same id in the sandbox', { ...shared, environment: 'sandbox' }, [{ a: 1 }, { a: 2 }]),
  ...event('same id, other event', { ...shared, event: 'Updated Journey' }, [{ a: 1 }, { a: 2 }]),
  ...event('neighbour in the journey', { ...shared, id: 'delayed' }, [{ a: 1 }]),
  ...event('without journey', { id: '0' }, [{ a: 1 }, { a: 2 }]),
  ...event('poison', { id: 'x:y:z', journey: 'journey-1' }, [{ referenceNo: POISONS[0] }]),
  ...event('poison of two kinds, or good', { id: 'mixed', journey: 'journey-2' }, [
    { referenceNo: POISONS[1] },
    { referenceNo: POISONS[2] },
    { referenceNo: 'REF-1' },
  ]),
  anonymous('not JSON', Buffer.from([0, 0xff, 0x7b, 0x0a])),
  anonymous('empty', Buffer.alloc(0)),
  anonymous('JSON without id', Buffer.from('{"event":"Finished Journey","body":{"journeyId":"journey-2"}}')),
]

type Names = { id: string; journey?: string; environment?: string; event?: string }

function event(name: string, names: Names, bodies: Record<string, unknown>[]): Body[] {
  const { id, journey = null, environment = 'live', event = 'Finished Journey' } = names
  return bodies.map((fields, index) => ({
    name: `${name} ${index + 1}`,
    key: name,
    environment,
    eventId: id,
    journeyId: journey,
    bytes: Buffer.from(
      JSON.stringify({ event, body: { eventId: id, ...(journey && { journeyId: journey }), ...fields } }),
    ),
    poison: POISONS.find((reference) => reference === fields.referenceNo) ?? null,
  }))
}

function anonymous(name: string, bytes: Buffer): Body {
  const journeyId = bytes.includes('journey-2') ? 'journey-2' : null
  return { name, key: name, environment: 'live', eventId: null, journeyId, bytes, poison: null }
}
